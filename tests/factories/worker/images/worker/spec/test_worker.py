def test_docker_answers(host):
    with host.sudo():
        assert host.check_output("docker info --format '{{.ServerVersion}}'")
