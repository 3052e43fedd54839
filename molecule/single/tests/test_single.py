def test_systemd(host):
    assert host.check_output("systemctl is-system-running") == "running"
