ran = []


def afterwards():
    test_dubs(ran.append)
    assert ran == ["ci/run.yaml"]
