def test_the_marker_is_there(host):
    assert host.file("/etc/made-of/left").exists
