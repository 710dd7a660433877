"""Derive the bundled low-voltage grid and its profiles from SimBench.

Run by hand, with `simbench` and `power-grid-model` installed (they are not dependencies of the
product). Writes three files next to their licence note: the grid as power-grid-model JSON, the
connection points as CSV, a year of relative profiles in steps of 15 minutes as Parquet.
"""

# ruff: noqa: ANN401 - pandapower's net has no type of its own
import argparse
import csv
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import simbench
from power_grid_model import (
    ComponentType,
    DatasetType,
    LoadGenType,
    WindingType,
    initialize_array,
)
from power_grid_model.utils import json_serialize_to_file

SIMBENCH_CODE = "1-LV-rural3--0-sw"
# SimBench gives no zero-sequence data. For four-core NAYY cable with the neutral as the only
# return path, r0/r1 and x0/x1 near 4 are the values planners use.
ZERO_SEQUENCE_RATIO = 4.0
DYN5_CLOCK = 5
STORED_PER_UNIT = 10_000  # profiles are stored as integers of 1e-4


def main() -> None:
    """Write grid, connection points and profiles into the folder named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    net = simbench.get_simbench_net(SIMBENCH_CODE)
    if not net.switch.closed.all():
        raise SystemExit("the grid has open switches, which this script does not convert")
    node_of_bus = {int(bus): number for number, bus in enumerate(net.bus.index)}
    first_load_id = len(net.bus) + len(net.line) + 2
    grid = {
        ComponentType.node: nodes(net),
        ComponentType.line: lines(net, node_of_bus, len(net.bus)),
        ComponentType.transformer: transformer(net, node_of_bus, first_load_id - 2),
        ComponentType.source: source(net, node_of_bus, first_load_id - 1),
        ComponentType.asym_load: loads(net, node_of_bus, first_load_id),
    }
    json_serialize_to_file(folder / "grid.json", grid, use_compact_list=True)
    write_connections(net, grid[ComponentType.asym_load], folder / "connections.csv")
    write_profiles(net, folder / "profiles.parquet")


def nodes(net: Any) -> np.ndarray:
    """Return the buses."""
    table = initialize_array(DatasetType.input, ComponentType.node, len(net.bus))
    table["id"] = np.arange(len(net.bus))
    table["u_rated"] = net.bus.vn_kv.to_numpy() * 1e3
    return table


def lines(net: Any, node_of_bus: dict[int, int], first_id: int) -> np.ndarray:
    """Return the cables, with zero-sequence values from `ZERO_SEQUENCE_RATIO`."""
    table = initialize_array(DatasetType.input, ComponentType.line, len(net.line))
    length_km = net.line.length_km.to_numpy()
    table["id"] = first_id + np.arange(len(net.line))
    table["from_node"] = [node_of_bus[int(bus)] for bus in net.line.from_bus]
    table["to_node"] = [node_of_bus[int(bus)] for bus in net.line.to_bus]
    table["from_status"] = table["to_status"] = 1
    table["r1"] = net.line.r_ohm_per_km.to_numpy() * length_km
    table["x1"] = net.line.x_ohm_per_km.to_numpy() * length_km
    table["c1"] = net.line.c_nf_per_km.to_numpy() * length_km * 1e-9
    table["tan1"] = 0.0
    table["r0"] = table["r1"] * ZERO_SEQUENCE_RATIO
    table["x0"] = table["x1"] * ZERO_SEQUENCE_RATIO
    table["c0"] = table["c1"]
    table["tan0"] = 0.0
    table["i_n"] = net.line.max_i_ka.to_numpy() * 1e3
    return table


def transformer(net: Any, node_of_bus: dict[int, int], component_id: int) -> np.ndarray:
    """Return the one transformer, connected Dyn5."""
    table = initialize_array(DatasetType.input, ComponentType.transformer, 1)
    row = net.trafo.iloc[0]
    sn_va = row.sn_mva * 1e6
    table["id"] = component_id
    table["from_node"], table["to_node"] = (
        node_of_bus[int(row.hv_bus)],
        node_of_bus[int(row.lv_bus)],
    )
    table["from_status"] = table["to_status"] = 1
    table["u1"], table["u2"] = row.vn_hv_kv * 1e3, row.vn_lv_kv * 1e3
    table["sn"] = sn_va
    table["uk"], table["pk"] = row.vk_percent / 100, row.vkr_percent / 100 * sn_va
    table["i0"], table["p0"] = row.i0_percent / 100, row.pfe_kw * 1e3
    table["winding_from"], table["winding_to"] = WindingType.delta, WindingType.wye_n
    table["clock"] = DYN5_CLOCK
    table["tap_side"], table["tap_pos"] = 0, int(row.tap_pos)
    table["tap_min"], table["tap_max"] = int(row.tap_min), int(row.tap_max)
    table["tap_nom"] = int(row.tap_neutral)
    table["tap_size"] = row.tap_step_percent / 100 * row.vn_hv_kv * 1e3
    return table


def source(net: Any, node_of_bus: dict[int, int], component_id: int) -> np.ndarray:
    """Return the medium-voltage grid."""
    table = initialize_array(DatasetType.input, ComponentType.source, 1)
    table["id"], table["status"] = component_id, 1
    table["node"] = node_of_bus[int(net.ext_grid.bus.iloc[0])]
    table["u_ref"] = net.ext_grid.vm_pu.iloc[0]
    return table


def loads(net: Any, node_of_bus: dict[int, int], first_id: int) -> np.ndarray:
    """Return one constant-power load of 0 W per connection point."""
    table = initialize_array(DatasetType.input, ComponentType.asym_load, len(net.load))
    table["id"] = first_id + np.arange(len(net.load))
    table["node"] = [node_of_bus[int(bus)] for bus in net.load.bus]
    table["status"], table["type"] = 1, LoadGenType.const_power
    table["p_specified"] = table["q_specified"] = 0.0
    return table


def write_connections(net: Any, load_table: np.ndarray, path: Path) -> None:
    """Write the connection points: which load, rated how, following which profile."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["load_id", "name", "rated_w", "rated_var", "profile"])
        for component_id, row in zip(load_table["id"], net.load.itertuples(), strict=True):
            rated = [round(row.p_mw * 1e6), round(row.q_mvar * 1e6)]
            writer.writerow([component_id, row.name, *rated, row.profile])


def write_profiles(net: Any, path: Path) -> None:
    """Write the year: consumption relative to the rating, generation relative to the peak."""
    columns = {}
    for table, suffixes in (("load", ("_pload", "_qload")), ("renewables", ("",))):
        frame = net.profiles[table]
        for name in frame.columns.drop("time"):
            if name.endswith(suffixes):
                short = name.replace("_pload", "_w").replace("_qload", "_var")
                short = short if table == "load" else f"{name}_w"
                columns[short] = pa.array(
                    np.rint(frame[name].to_numpy() * STORED_PER_UNIT).astype("int16")
                )
    pq.write_table(
        pa.table(columns),
        path,
        compression="zstd",
        compression_level=19,
        use_dictionary=False,
        column_encoding="DELTA_BINARY_PACKED",
    )


if __name__ == "__main__":
    main()
