"""One configuration: presets, inheritance, cells and their hashes, and messages for every kind of mistake."""

import copy
import json

import pytest
import yaml

from paramrel import CODE_VERSION
from paramrel.data import dataset
from paramrel.errors import UserError
from paramrel.method import method, methods
from suite.graph import cells as cells_module
from suite.graph.cells import cells, find, skipped
from suite.graph.config import load, parse, resolve, schema
from suite.graph.names import metrics_name
from suite.graph.written import parse_yaml, reread
from tests.conftest import ROOT, TINY_PRESET

PARAMS = load(ROOT / "params.yaml")


def tiny(**changes):
    return resolve(parse({"preset": "t", "presets": {"t": TINY_PRESET | changes}}, "params"), "t")


def test_the_presets_are_there_and_resolve():
    assert set(PARAMS.presets) >= {"quick", "quick5", "small", "paper", "infodiffusion_official", "table"}
    for name in PARAMS.presets:
        assert resolve(PARAMS, name).methods
    quick, quick5 = resolve(PARAMS, "quick"), resolve(PARAMS, "quick5")
    assert quick.seeds == (0,) and quick5.seeds == (0, 1, 2, 3, 4)
    assert all(getattr(quick5, part) == getattr(quick, part) for part in ("network", "train", "evaluate", "datasets"))


def test_the_paper_preset_is_table_5():
    paper = resolve(PARAMS, "paper")
    assert (paper.train.epochs, paper.train.batch_size, paper.train.learning_rate) == (50, 128, 1e-4)
    assert (paper.network.channels, paper.network.multipliers, paper.network.latent_dim) == (32, (1, 2, 4), 32)
    assert paper.seeds == (0, 1, 2, 3, 4)


def test_the_official_preset_is_the_official_code():
    official = resolve(PARAMS, "infodiffusion_official")
    assert official.train.flip and official.train.schedule == "infodiffusion" and official.train.ema_decay == 0
    configs = {name: method(name).Config(**official.per_method[name].config) for name in official.per_method}
    for name in ("diffae", "info_diffusion"):
        assert (configs[name].n_times, configs[name].beta_first, configs[name].beta_last) == (1000, 1e-5, 1e-2)
    for name in ("info_vae", "info_diffusion"):
        assert configs[name].mmd_weight == pytest.approx(0.1) and configs[name].kernel == "infodiffusion"
    assert all(getattr(config, "scaling", "official") == "official" for config in configs.values())
    assert dataset(official.datasets[0]).shape == (1, 32, 32) and not dataset(official.datasets[0]).binary


def test_quick_covers_every_method_and_variant_with_a_code():
    made = {(c.method, c.variant) for c in cells(resolve(PARAMS, "quick")) if c.dataset == "digits_binarized"}
    names = {(name, variant) for name, cls in methods().items() for variant in cls.variants}
    here = {n for n, cls in methods().items() if cls.skip(dataset("digits_binarized")) is None and not cls.no_code}
    runs = {(n, v) for n, v in names if n in here}
    assert made == runs


def test_cells_of_quick_are_cells_of_quick5():
    quick, quick5 = ({cell.path for cell in cells(resolve(PARAMS, name))} for name in ("quick", "quick5"))
    assert quick < quick5, "a training is shared between presets"


@pytest.mark.parametrize(
    ("where", "value", "message"),
    [
        (("prest",), 1, r"unknown key 'prest': did you mean 'preset'"),
        (("presets", "t", "train", "stepss"), 1, r"presets.t: unknown key 'train.stepss': did you mean 'steps'"),
        (
            ("presets", "t", "per_method"),
            {"vae": {"trian": {}}},
            r"unknown key 'per_method.vae.trian': did you mean 'train'",
        ),
        (("presets", "t", "per_method"), {"vea": {}}, r"unknown method 'vea': did you mean 'vae'"),
        (("presets", "t", "methods"), ["vea"], r"unknown method 'vea': did you mean 'vae'"),
        (("presets", "t", "datasets"), ["digit"], r"unknown data set 'digit': did you mean 'digits'"),
        (("presets", "t", "datasets"), ["digits", "digits"], r"data set 'digits' is named twice"),
        (("presets", "t", "methods"), ["vae", "pca", "vae"], r"method 'vae' is named twice"),
        (
            ("presets", "t", "per_method"),
            {"vae": {"variants": {"a b/c; echo": {}}}},
            r"variant 'a b/c; echo': a name is letters",
        ),
        (("presets", "t two"), TINY_PRESET, r"preset 't two': a name is letters"),
        (("presets", "t", "datasets"), [], r"datasets: .*at least 1 item"),
        (("presets", "t", "evaluate", "metrics"), ["auc"], r"unknown metric 'auc': did you mean 'auroc'"),
        (("presets", "t", "train", "steps"), "many", r"train.steps: .*valid integer.*\(got 'many'\)"),
        (("presets", "t", "seeds"), [1, 1], r"seeds \[1, 1\] must be distinct"),
        (("presets", "t", "extends"), "u", r"unknown preset 'u'"),
        (("presets", "t", "extends"), "t", r"extend each other in a circle"),
        (("presets", "t"), 3, "presets.t: Input should be a mapping"),
        (("presets", "t", "train", "steps"), "12", r"train.steps: .*valid integer.*\(got '12'\)"),
        (("presets", "t", "train", "learning_rate"), "1e-3", r"train.learning_rate: .*valid number.*\(got '1e-3'\)"),
        (("presets", "t", "train", "learning_rate"), float("inf"), "train.learning_rate: .*finite"),
        (("presets", "t", "train", "flip"), "true", r"train.flip: .*valid boolean.*\(got 'true'\)"),
        (("presets", "t", "seeds"), ["0"], r"seeds.0: .*valid integer.*\(got '0'\)"),
        (("presets", "t", "seeds"), [-1], "seeds.0: .*greater than or equal to 0"),
        (("presets", "t", "datasets"), "digits", "datasets: .*list"),
        (("presets", "t", "evaluate", "probe_seed"), 2**32, "evaluate.probe_seed: .*less than or equal to 4294967295"),
        (("presets", "t", "evaluate", "options"), {"dci": {"n_trees": "20"}}, "dci.n_trees: .*valid integer"),
        (("preset",), "tt", r"unknown preset 'tt': did you mean 't'"),
    ],
)
def test_mistakes_are_named_in_one_line_with_the_way_out(where, value, message):
    raw = copy.deepcopy({"preset": "t", "presets": {"t": TINY_PRESET}})
    inner = raw
    for key in where[:-1]:
        inner = inner[key]
    inner[where[-1]] = value
    with pytest.raises(UserError, match=message) as caught:
        parse(raw, "params.yaml")
    assert "\n" not in str(caught.value)


def test_unreadable_files_are_named(tmp_path):
    with pytest.raises(UserError, match="cannot read .*nowhere.yaml"):
        load(tmp_path / "nowhere.yaml")
    for written, says in (
        (b"a: [1", "is no valid YAML"),
        (b"a: 1\nb: {c: 1, c: 2}", "key 'c' is given twice in .*bad.yaml.*, line 2, column 11"),
        (b"1: 2", "key '1' is no word"),
        (b"[a]: 2", "key of several parts is no word"),
        ("presets: {é: 1}".encode("latin1"), "bad.yaml is no UTF-8 text"),
        (b"a: " + b"[" * 3000 + b"]" * 3000, "nests too deep"),
        (b"presets: &a {a: *a}", "a part holds itself"),
        (b"preset: t\npresets: {t: {seeds: 2020-01-01}}", "presets.t: seeds: .*list"),
    ):
        (tmp_path / "bad.yaml").write_bytes(written)
        with pytest.raises(UserError, match=says) as caught:
            load(tmp_path / "bad.yaml")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("number", ["1e-3", "0.001", "1.0e-3", ".001", "+1.E-3"])
def test_numbers_are_numbers_however_they_are_written(number):
    assert parse_yaml(f"{{a: {number}}}", "text") == {"a": 0.001}
    assert parse_yaml("{a: e-3, b: 1e, c: '1e-3', d: 1.2.3}", "text") == {
        "a": "e-3",
        "b": "1e",
        "c": "1e-3",
        "d": "1.2.3",
    }


def test_merged_mappings_may_give_a_key_anew():
    text = "a: &a {x: 1, y: 2}\nb: &b {<<: *a, x: 3}\nc: {<<: *b, y: 4}"
    assert parse_yaml(text, "text")["c"] == {"x": 3, "y": 4}


def test_what_snakemake_gives_as_words_is_read_again():
    given = {"tiny": {"seeds": ["0", "7"], "train": {"learning_rate": "1e-3", "flip": "true"}, "methods": ["vae"]}}
    read = {"tiny": {"seeds": [0, 7], "train": {"learning_rate": 0.001, "flip": True}, "methods": ["vae"]}}
    assert reread(given) == read == reread(read)
    for word in ("", "[1", "{a: 1}", "2020-01-01", "a: b", "vae"):
        assert reread(word) == word


def test_settings_of_a_method_are_checked_too():
    with pytest.raises(UserError, match="settings of vae-default: unknown key 'kl_warmpu': did you mean 'kl_warmup'"):
        cells(tiny(methods=["vae"], per_method={"vae": {"config": {"kl_warmpu": 1}}}))


def test_overrides_apply_in_order_and_variants_can_be_replaced():
    preset = tiny(
        per_dataset={"digits_binarized": {"train": {"steps": 20}, "network": {"latent_dim": 4}}},
        per_method={"vae": {"train": {"epochs": 2}}, "paramrel_d": {"variants": {"mine": {"theta_dropout": 0.5}}}},
    )
    made = {(cell.method, cell.variant): cell for cell in cells(preset) if cell.seed == 0}
    assert made["pca", "default"].train.steps == 20 and made["vae", "default"].network.latent_dim == 4
    assert made["vae", "default"].train.steps == 2 * (1428 // 16)
    assert [key for key in made if key[0] == "paramrel_d"] == [("paramrel_d", "mine")]
    assert made["paramrel_d", "mine"].config.theta_dropout == 0.5


def test_a_hash_changes_with_all_that_decides_a_result_and_nothing_else(monkeypatch):
    def hashes(**changes):
        return {cell.hash for cell in cells(tiny(methods=["vae"], seeds=[0], **changes))}

    base = hashes()
    assert hashes(runtime={"log_every": 7}) == base and hashes(evaluate={"n_images": 9}) == base
    for changes in (
        {"train": TINY_PRESET["train"] | {"steps": 13}},
        {"network": TINY_PRESET["network"] | {"latent_dim": 7}},
        {"per_method": {"vae": {"config": {"kl_warmup": 0.5}}}},
    ):
        assert hashes(**changes) != base
    monkeypatch.setattr(method("vae"), "version", method("vae").version + 1)
    assert hashes() != base
    monkeypatch.undo()
    monkeypatch.setattr(cells_module, "CODE_VERSION", CODE_VERSION + 1)
    assert hashes() != base


def test_what_a_method_cannot_run_on_is_skipped_with_a_reason():
    preset = tiny(datasets=["digits_binarized"])
    reasons = {name: reason for _, name, reason in skipped(preset)}
    assert {"paramrel_c", "paramrel_discretised"} <= set(reasons) and reasons[
        "paramrel_c"
    ] == "binary images: paramrel_d"
    assert not set(reasons) & {cell.method for cell in cells(preset)}
    with pytest.raises(UserError, match="paramrel_c does not run on digits_binarized: binary images: paramrel_d"):
        find(preset, "digits_binarized", "paramrel_c", None, None)
    with pytest.raises(UserError, match="every method skips every data set"):
        cells(tiny(datasets=["digits_binarized"], methods=["paramrel_c"]))


def test_a_data_set_may_take_some_of_the_methods():
    some = {"digits": {"methods": ["vae", "pca"]}}
    preset = tiny(datasets=["digits_binarized", "digits"], methods=["pca", "pixels", "vae"], per_dataset=some)
    taken = {(cell.dataset, cell.method) for cell in cells(preset)}
    assert {name for data, name in taken if data == "digits"} == {"vae", "pca"}
    assert {name for data, name in taken if data == "digits_binarized"} == {"pca", "pixels", "vae"}
    by_hand = find(preset, "digits", "pixels", None, None)
    assert by_hand.method == "pixels" and by_hand.train == find(preset, "digits", "pca", None, None).train
    with pytest.raises(UserError, match="unknown method 'vea': did you mean 'vae'"):
        tiny(per_dataset={"digits": {"methods": ["vea"]}})


def test_missing_data_are_found_while_the_graph_is_built(monkeypatch, tmp_path):
    monkeypatch.delenv("PARAMREL_DATA", raising=False)
    monkeypatch.setenv("PARAMREL_CACHE", str(tmp_path))
    with pytest.raises(UserError, match="PARAMREL_DATA is not set"):
        cells(tiny(datasets=["mnist_binarized"]))


def test_options_of_metrics_change_the_file_and_are_checked():
    names = {
        metrics_name(tiny(evaluate={"options": options}).evaluate)
        for options in ({}, {"dci": {"n_trees": 20}}, {"dci": {"n_trees": 21}})
    }
    assert len(names) == 3
    with pytest.raises(UserError, match="unknown option of dci 'n_tree': did you mean 'n_trees'"):
        tiny(evaluate={"options": {"dci": {"n_tree": 20}}})


def test_the_committed_schema_is_that_of_the_models_and_accepts_params_yaml():
    import jsonschema

    committed = json.loads((ROOT / "workflow/params.schema.json").read_text())
    assert committed == schema(), "run: paramrel check-config --schema workflow/params.schema.json"
    jsonschema.validate(yaml.safe_load((ROOT / "params.yaml").read_text()), committed)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"presets": {"quick": {"trian": {}}}}, committed)


@pytest.mark.parametrize("key", ["config", "variants"])
def test_what_only_a_method_can_have_is_refused_for_a_data_set(key):
    written = {"per_dataset": {"digits_binarized": {key: {"a": {}}}}}
    with pytest.raises(UserError, match=key):
        parse({"preset": "t", "presets": {"t": TINY_PRESET | written}}, "params")
