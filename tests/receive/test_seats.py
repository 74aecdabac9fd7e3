"""Seats of connections: how many, and who has to go."""

from node.receive.server.seats import Seats


def test_in_all_and_from_one_address_there_are_so_many_seats():
    seats = Seats(connections=3, per_address=2, associations=9)
    first = [seats.take("a"), seats.take("a"), seats.take("b")]
    assert all(first)
    for seat in first:
        assert seats.associate(seat)
    assert (seats.take("a"), seats.take("c"), seats.taken) == (None, None, 3)
    seats.leave(first[0])
    seats.leave(first[0])
    assert seats.take("a") is not None
    assert seats.taken == 3


def test_who_has_waited_longest_without_an_association_makes_room():
    seats = Seats(connections=2, per_address=2, associations=9)
    told = []
    busy, silent = seats.take("a"), seats.take("b")
    seats.associate(busy)
    seats.waking(silent, lambda: told.append("silent"))
    newest = seats.take("c")
    assert newest is not None
    assert (silent.lost, busy.lost, newest.lost, told) == (True, False, False, ["silent"])
    assert seats.taken == 2
    seats.leave(silent)
    assert seats.taken == 2


def test_room_for_one_address_is_made_by_the_same_address_only():
    seats = Seats(connections=9, per_address=2, associations=9)
    other, first, second = seats.take("b"), seats.take("a"), seats.take("a")
    assert seats.take("a") is not None
    assert (other.lost, first.lost, second.lost) == (False, True, False)


def test_there_are_so_many_associations_and_no_more():
    seats = Seats(connections=9, per_address=9, associations=1)
    first, second = seats.take("a"), seats.take("a")
    assert (seats.associate(first), seats.associate(second)) == (True, False)
    seats.dissociate(first)
    assert seats.associate(second)


def test_who_has_lost_the_seat_is_no_association_any_more():
    seats = Seats(connections=1, per_address=1, associations=1)
    lost = seats.take("a")
    assert seats.take("b") is not None
    assert not seats.associate(lost)
