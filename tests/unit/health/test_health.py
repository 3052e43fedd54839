# SPDX-License-Identifier: MIT
"""Verdict, reasons and the reading of certificates, without a server."""

from __future__ import annotations

import subprocess
from datetime import datetime, timezone
from pathlib import Path
from ssl import PEM_cert_to_DER_cert

import pytest
from keyfleet.core.connect.settings import Settings
from keyfleet.core.health.model import Check
from keyfleet.core.health.probes import certificate_expiry
from keyfleet.core.health.report import CHECKS, DEPLOYMENT_CHECKS, HealthReport, wait_for_health
from keyfleet.testing._certificates import make_certificates

FINE = Check("role", "ok", node="10.0.0.1:6379")
SKIPPED = Check("cluster", "skipped", "cluster mode is off", node="10.0.0.1:6379")
SLOW = Check("ping", "degraded", "PING took long", node="10.0.0.1:6379")
FULL = Check("memory", "failed", "memory is full", node="10.0.0.2:6379")


def test_verdict_is_the_gravest_status_and_failures_are_named_first() -> None:
    """Reasons name the node; checks that are fine or skipped have none."""
    report = HealthReport((FINE, SKIPPED, SLOW, FULL))
    assert "failed" == report.verdict
    assert ["10.0.0.2:6379: memory is full", "10.0.0.1:6379: PING took long"] == report.reasons


@pytest.mark.parametrize(
    ("checks", "fail_on"),
    [((FULL,), {"failed", "degraded"}), ((SLOW,), {"degraded"}), ((FINE, SKIPPED), set())],
    ids=["failed", "degraded", "ok"],
)
def test_fail_on_names_the_mildest_verdict_that_fails(checks: tuple[Check, ...], fail_on: set[str]) -> None:
    """A degraded server fails only where that was asked for, and nothing fails with never."""
    assert fail_on == {name for name in ("failed", "degraded", "never") if HealthReport(checks).fails(name)}


def test_report_is_plain_data() -> None:
    """What a module prints can be turned into JSON and back without loss."""
    check = {"name": "memory", "status": "failed", "reason": "memory is full", "found": {}, "node": "10.0.0.2:6379"}
    assert {"verdict": "failed", "reasons": ["10.0.0.2:6379: memory is full"], "checks": [check]} == HealthReport((FULL,)).as_dict()


@pytest.mark.parametrize("days", [2, 20_000], ids=["UTCTime", "GeneralizedTime"])
def test_end_of_validity_is_what_openssl_says(tmp_path: Path, days: int) -> None:
    """Both forms of time in a certificate are read; from the year 2050 on they are written differently."""
    certificate = make_certificates(tmp_path, "127.0.0.1", days).certificate
    shown = subprocess.run(["openssl", "x509", "-noout", "-enddate", "-in", certificate], capture_output=True, text=True, check=True)
    expected = datetime.strptime(shown.stdout.strip(), "notAfter=%b %d %H:%M:%S %Y GMT").replace(tzinfo=timezone.utc)
    assert expected == certificate_expiry(PEM_cert_to_DER_cert(certificate.read_text()))


def test_wait_polls_until_the_time_is_over(tmp_path: Path) -> None:
    """Nothing listens at the socket: it is asked again and again, and the last report says why it failed."""
    now, naps = [0.0], []

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        now[0] += seconds

    settings = Settings(unix_socket=str(tmp_path / "nobody.sock"))
    report = wait_for_health(settings, timeout_seconds=1.0, clock=lambda: now[0], sleep=sleep)
    assert [0.2] * 5 == pytest.approx(naps)
    assert {"failed": 1, "skipped": len(CHECKS) - 1 + len(DEPLOYMENT_CHECKS)} == {
        status: [c.status for c in report.checks].count(status) for status in ("failed", "skipped")
    }
    assert "the server cannot be reached" in report.reasons[0]


def test_without_a_wait_it_is_asked_once(tmp_path: Path) -> None:
    """A time of 0 means one attempt and no sleep."""
    naps: list[float] = []
    settings = Settings(unix_socket=str(tmp_path / "nobody.sock"), retry_attempts=0)
    assert "failed" == wait_for_health(settings, sleep=naps.append).verdict
    assert [] == naps
