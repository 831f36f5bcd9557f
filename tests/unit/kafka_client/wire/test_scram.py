"""SCRAM from the client's side."""

import pytest

from kafka_client.errors import Denied
from kafka_client.wire.scram import Scram


def test_that_scram_follows_the_vectors_of_rfc_7677():
    scram = Scram("user", "pencil", "sha256", nonce="rOprNGfwEbeRWgbNEkqO")
    assert scram.first() == b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
    challenge = (
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    )
    assert scram.proof(challenge) == (
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    )
    scram.verify(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")


@pytest.mark.parametrize(
    "challenge",
    [
        b"r=other,s=W22Z,i=4096",
        b"r=abc,s=W22Z,i=4096",
        b"r=abcd,s=W22Z,i=1",
        b"r=abcd,s=W22Z,i=999999999",
        b"r=abcd,s=!,i=4096",
        b"\xff",
        b"",
    ],
)
def test_that_a_server_that_cannot_be_right_is_not_given_a_proof(challenge):
    with pytest.raises(Denied):
        Scram("u", "p", "sha256", nonce="abc").proof(challenge)


def test_that_a_server_without_the_password_is_found_out():
    scram = Scram("u", "p", "sha256", nonce="abc")
    scram.proof(b"r=abcd,s=W22Z,i=4096")
    for final in (b"v=AAAA", b"e=unknown-user", b"v=!", b"\xff"):
        with pytest.raises(Denied):
            scram.verify(final)
