"""`metertwin simulate`: meters for a head-end under trial."""

import json
import signal
import socket
import subprocess
import sys

COMMAND = (sys.executable, "-m", "metertwin.cli", "simulate")


def test_it_prints_where_each_meter_is_and_ends_when_asked() -> None:
    arguments = ("--meters", "2", "--port", "0", "--security", "low", "--json")
    with subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        text = ""
        while not text.endswith("\n}\n"):
            text += child.stdout.readline()
        meters = json.loads(text)["meters"]
        with socket.create_connection((meters[0]["host"], meters[0]["port"]), timeout=5):
            child.send_signal(signal.SIGTERM)
        assert child.wait(timeout=20) == 0
    assert len({meter["server_sap"] for meter in meters}) == len(meters) >= 2
    assert all(len(bytes.fromhex(meter["password"])) == 16 for meter in meters)
    assert all(meter["origin"] == "simulated" for meter in meters)


def test_a_port_in_use_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = subprocess.run(
            [*COMMAND, "--meters", "1", "--port", port],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"metertwin: The meters cannot listen on 127.0.0.1:{port}:")
    assert ended.stderr.count("\n") == 1
