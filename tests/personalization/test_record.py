from __future__ import annotations

from visard.personalization.record import key_digest, library_versions


def test_the_digest_of_a_key_does_not_depend_on_the_order_of_names() -> None:
    key = {"settings": {"rho": 0.1, "seed": None}, "photos": ["a", "b"]}
    turned = {"photos": ["a", "b"], "settings": {"seed": None, "rho": 0.1}}
    assert key_digest(key) == key_digest(turned) != key_digest(key | {"photos": ["b", "a"]})
    # Finished runs in people's folders are known by it.
    assert key_digest(key) == "27e22de12ce107e9e226872e63956f69914cf288ac84de16c8cc046ed3325ad1"


def test_versions_are_of_visard_and_what_computes() -> None:
    assert {"visard", "torch", "diffusers"} <= library_versions().keys()
