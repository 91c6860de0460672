"""An analytic renderer of 3D-Shapes-like scenes: a room, its floor, and one object, seen by an orbiting camera.

Ours throughout; the six factors, their sizes and their order are those of 3D Shapes (C. Burgess, H. Kim, 2018), the
pixels are not. Lengths are in units of the object's side at scale 1; z points up.

Shading is Lambert's, so a pixel is linear in the three colours: (light that floor, wall and object send to it) times
(their colours). The light depends on scale, shape and orientation alone: 480 geometries are traced, with anti-aliasing,
and 480,000 images are products of small matrices. Light is rounded to 12 bits, so these products are exact in float32
and the images are the same bits on every machine and in every order.
"""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

FACTOR_SIZES = (10, 10, 10, 8, 4, 15)
"""Values of floor hue, wall hue, object hue, scale, shape, orientation; the last changes fastest."""
HUES = np.arange(10) / 10
SCALES = np.linspace(0.75, 1.25, 8)
SHAPES = ("cube", "cylinder", "sphere", "capsule")
ORIENTATIONS = np.linspace(-30, 30, 15)
"""Degrees by which the camera is turned around the vertical axis."""
N_GEOMETRIES = 8 * 4 * 15

ROOM = 3.2
"""Half the side of the square room; its walls have no upper end."""
CAMERA_DISTANCE, CAMERA_HEIGHT, LOOK_AT_HEIGHT = 3.0, 1.75, 0.62
FIELD_OF_VIEW = 46.0
"""Degrees."""
TO_LIGHT = np.array([-0.5, -0.7, 1.0]) / np.sqrt(1.74)
AMBIENT = 0.4
LIGHT_LEVELS = 4096
FAR = 1e9


def factors_of(indices: np.ndarray) -> np.ndarray:
    """Factor classes (N, 6) of positions 0..479,999 in the order of 3D Shapes."""
    return np.stack(np.unravel_index(indices, FACTOR_SIZES), 1)


def render(indices: np.ndarray, side: int) -> np.ndarray:
    """Images of the scenes at ``indices`` (N,) in the order of 3D Shapes: uint8 (N, 3, side, side)."""
    images = np.empty((len(indices), 3, side, side), np.uint8)
    colours, geometries = np.divmod(np.asarray(indices), N_GEOMETRIES)
    albedo = _albedo()[np.stack(np.unravel_index(colours, FACTOR_SIZES[:3]), 1)]  # (N, surface, RGB)
    order = np.argsort(geometries, kind="stable")
    starts = np.flatnonzero(np.diff(geometries[order], prepend=-1))
    for rows in np.split(order, starts[1:]) if len(order) else ():
        light = light_of(int(geometries[rows[0]]), side).astype(np.float32).reshape(3, -1)
        mixed = albedo[rows].transpose(0, 2, 1).reshape(-1, 3) @ light
        images[rows] = (mixed / LIGHT_LEVELS + 0.5).astype(np.uint8).reshape(-1, 3, side, side)
    return images


def render_chunks(indices: np.ndarray, side: int, chunk: int = 4096) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(positions, images) of at most ``chunk`` scenes at a time, which bounds the memory."""
    for start in range(0, len(indices), chunk):
        part = indices[start : start + chunk]
        yield part, render(part, side)


@lru_cache(maxsize=2 * N_GEOMETRIES)
def light_of(geometry: int, side: int) -> np.ndarray:
    """Light of floor, wall and object in each pixel: uint16 (3, side, side), 0..4096.

    ``geometry`` is the position of (scale, shape, orientation). Each pixel is the mean of a square of rays, enough for
    about 128 a side (at least 3).
    """
    scale, shape, orientation = np.unravel_index(geometry, (8, 4, 15))
    n = max(3, round(128 / side))
    origin, directions = _rays(np.radians(ORIENTATIONS[orientation]), side * n)
    light = _trace(origin, directions, SHAPES[shape], float(SCALES[scale]))
    light = light.reshape(3, side, n, side, n).mean((2, 4))
    return np.floor(light * LIGHT_LEVELS + 0.5).astype(np.uint16)


def _albedo() -> np.ndarray:
    """Colours of the hues at full saturation and value: float32 (10, 3), whole numbers 0..255."""
    sixths = 6 * HUES[:, None] + np.array([0, 4, 2])
    rgb = np.clip(np.abs(np.mod(sixths, 6) - 3) - 1, 0, 1)
    return np.floor(255 * rgb + 0.5).astype(np.float32)


def _rays(yaw: float, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Camera position (3,) and unit directions (3, side * side), rows from top to bottom."""
    origin = np.array([CAMERA_DISTANCE * np.sin(yaw), -CAMERA_DISTANCE * np.cos(yaw), CAMERA_HEIGHT])
    forward = np.array([0, 0, LOOK_AT_HEIGHT]) - origin
    forward /= np.sqrt((forward**2).sum())
    right = np.array([np.cos(yaw), np.sin(yaw), 0.0])
    up = np.cross(right, forward)
    steps = ((np.arange(side) + 0.5) / side * 2 - 1) * np.tan(np.radians(FIELD_OF_VIEW / 2))
    x, y = np.tile(steps, side), np.repeat(-steps, side)
    directions = forward[:, None] + right[:, None] * x + up[:, None] * y
    return origin, directions / np.sqrt((directions**2).sum(0))


def _trace(origin: np.ndarray, directions: np.ndarray, shape: str, scale: float) -> np.ndarray:
    """Light (0..1) of floor, wall and object along rays: (3, R), of which one is not 0."""
    n_rays = directions.shape[1]
    t_floor = _plane(origin[2], directions[2], 0.0)
    t_x = _plane(origin[0], directions[0], np.copysign(ROOM, directions[0]))
    t_y = _plane(origin[1], directions[1], np.copysign(ROOM, directions[1]))
    t_room = np.minimum(np.minimum(t_x, t_y), t_floor)
    points = origin[:, None] + t_room * directions
    on_floor = t_floor <= t_room
    facing = np.where(t_x < t_y, -np.sign(directions[0]) * TO_LIGHT[0], -np.sign(directions[1]) * TO_LIGHT[1])
    facing = np.maximum(np.where(on_floor, TO_LIGHT[2], facing), 0)
    towards = np.broadcast_to(TO_LIGHT[:, None], points.shape)
    lit = OBJECTS[shape](points, towards, scale)[0] >= FAR
    room = AMBIENT + (1 - AMBIENT) * facing * lit
    t_object, normals = OBJECTS[shape](np.broadcast_to(origin[:, None], points.shape), directions, scale)
    hit = t_object < t_room
    light = np.zeros((3, n_rays))
    light[0] = np.where(on_floor & ~hit, room, 0)
    light[1] = np.where(~on_floor & ~hit, room, 0)
    facing = np.maximum((normals * TO_LIGHT[:, None]).sum(0), 0)
    light[2] = np.where(hit, AMBIENT + (1 - AMBIENT) * facing, 0)
    return light


def _plane(origin: float | np.ndarray, direction: np.ndarray, at: float | np.ndarray) -> np.ndarray:
    """Distance to an axis-parallel plane, from the coordinates of origin and direction across it."""
    t = (at - origin) / np.where(direction == 0, 1e-12, direction)
    return np.where(t > 0, t, FAR)


def _box(origin: np.ndarray, direction: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Ray against a cube that stands on the floor: distances (R,) (``FAR``: missed) and unit normals (3, R)."""
    safe = np.where(direction == 0, 1e-12, direction)
    half = scale / 2
    centred = origin - np.array([[0.0], [0.0], [half]])
    entries = (-np.copysign(half, safe) - centred) / safe
    exits = (np.copysign(half, safe) - centred) / safe
    axis = entries.argmax(0)
    t, leave = entries.max(0), exits.min(0)
    normals = -np.sign(safe) * (np.arange(3)[:, None] == axis)
    return np.where((t < leave) & (t > 1e-6), t, FAR), normals


def _sphere(origin: np.ndarray, direction: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Ray against a sphere that stands on the floor."""
    radius = 0.55 * scale
    return _ball(origin, direction, radius, radius)


def _ball(origin: np.ndarray, direction: np.ndarray, height: float, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Ray against a sphere around (0, 0, height)."""
    centred = origin - np.array([[0.0], [0.0], [height]])
    b = (centred * direction).sum(0)
    root = b * b - (centred**2).sum(0) + radius**2
    t = -b - np.sqrt(np.maximum(root, 0))
    return np.where((root > 0) & (t > 1e-6), t, FAR), (centred + t * direction) / radius


def _tube(
    origin: np.ndarray, direction: np.ndarray, low: float, high: float, radius: float
) -> tuple[np.ndarray, np.ndarray]:
    """Ray against the side of an upright cylinder between two heights."""
    a = np.maximum((direction[:2] ** 2).sum(0), 1e-12)
    b = (origin[:2] * direction[:2]).sum(0)
    root = b * b - a * ((origin[:2] ** 2).sum(0) - radius**2)
    t = (-b - np.sqrt(np.maximum(root, 0))) / a
    point = origin + t * direction
    hit = (root > 0) & (t > 1e-6) & (point[2] >= low) & (point[2] <= high)
    return np.where(hit, t, FAR), point * np.array([[1.0], [1.0], [0.0]]) / radius


def _cylinder(origin: np.ndarray, direction: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Ray against an upright cylinder with a flat lid."""
    radius, height = 0.5 * scale, scale
    t_side, normals = _tube(origin, direction, 0.0, height, radius)
    t_lid = _plane(origin[2], direction[2], height)
    point = origin[:2] + t_lid * direction[:2]
    t_lid = np.where(((point**2).sum(0) <= radius**2) & (direction[2] < 0), t_lid, FAR)
    up = np.array([[0.0], [0.0], [1.0]])
    return np.minimum(t_side, t_lid), np.where(t_lid < t_side, up, normals)


def _capsule(origin: np.ndarray, direction: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Ray against an upright capsule: a tube with a half sphere at each end."""
    radius, height = 0.36 * scale, 1.3 * scale
    t, normals = _tube(origin, direction, radius, height - radius, radius)
    for centre in (radius, height - radius):
        t_end, n_end = _ball(origin, direction, centre, radius)
        normals = np.where(t_end < t, n_end, normals)
        t = np.minimum(t, t_end)
    return t, normals


OBJECTS = {"cube": _box, "cylinder": _cylinder, "sphere": _sphere, "capsule": _capsule}
