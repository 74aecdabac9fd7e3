"""Claims that run out, and workers on several hosts."""

import threading

import pytest

from node.journal.journal import Journal
from node.journal.overview import overview


def test_a_lease_that_is_renewed_does_not_run_out(sqlite_journal, seconds, fill):
    fill.running(sqlite_journal)
    for _ in range(3):
        assert sqlite_journal.cases.renew("me", [1], 60) == {1}
        seconds.now_s += 59
        assert sqlite_journal.cases.release_expired(3) == 0
    assert fill.states(sqlite_journal) == ["running"]


def test_a_case_whose_lease_ran_out_goes_to_another_worker_and_the_first_has_lost_it(sqlite_journal, seconds, fill):
    sqlite_journal.arrivals.record(fill.arrival(1))
    fill.open_case(sqlite_journal)
    lost = sqlite_journal.cases.claim("slow", 60)
    seconds.now_s += 61
    assert sqlite_journal.cases.release_expired(3) == 1
    assert sqlite_journal.cases.renew("slow", [1], 60) == frozenset()
    fresh = sqlite_journal.cases.claim("quick", 60)
    assert sqlite_journal.cases.renew("slow", [1], 60) == frozenset()
    assert not sqlite_journal.cases.finish(lost, fill.results(1))
    assert (fresh.attempt, sqlite_journal.cases.finish(fresh, fill.results(1))) == (2, True)


def test_the_wall_clock_has_no_say_in_leases(sqlite_journal, clock, fill):
    fill.running(sqlite_journal)
    clock.now = clock.now.replace(year=2030)
    assert sqlite_journal.cases.release_expired(3) == 0


def test_only_the_cases_of_the_owner_are_renewed(journal, fill):
    fill.running(journal)
    fill.running(journal, series="7.1", owner="other")
    assert journal.cases.renew("me", [1, 2, 99], 60) == {1}
    assert journal.cases.renew("me", [], 60) == frozenset()


def test_a_case_that_kills_its_workers_is_quarantined(sqlite_journal, seconds, fill):
    fill.running(sqlite_journal)
    seconds.now_s += 601
    assert sqlite_journal.cases.release_expired(attempts=1) == 1
    assert fill.states(sqlite_journal) == ["quarantined"]


@pytest.mark.peer("postgresql")
def test_a_start_does_not_take_the_claims_of_another_host_while_their_lease_runs(postgresql, fill):
    one, two = Journal(postgresql), Journal(postgresql)
    fill.running(one, owner="host-a:1")
    fill.running(one, series="7.1", owner="host-b:1")
    assert two.cases.release_claims(3) == 0
    assert two.cases.release_claims(3, owner_prefix="host-b:") == 1
    assert fill.states(two) == ["running", "queued"]
    assert two.cases.renew("host-a:1", [1], -1) == {1}
    assert two.cases.release_claims(3) == 1
    one.close()
    two.close()


@pytest.mark.peer("postgresql")
def test_many_workers_on_two_hosts_claim_each_case_once(postgresql, fill):
    hosts = [Journal(postgresql), Journal(postgresql)]
    for number in range(40):
        hosts[0].arrivals.record(fill.arrival(1, series=f"6.{number}"))
    for opened in hosts[0].arrivals.open_series():
        fill.open_seen(hosts[0], opened)
    taken: list[tuple[int, int]] = []

    def work(journal: Journal, name: str) -> None:
        while (claim := journal.cases.claim(name)) is not None:
            taken.append((claim.case_id, claim.number))
            if claim.case_id % 4 == 0 and claim.number == 1:
                journal.cases.put_back(claim)
            else:
                assert journal.cases.finish(claim, fill.results(claim.case_id))

    threads = [threading.Thread(target=work, args=(hosts[n % 2], f"w{n}")) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert overview(hosts[1].store, latest=1)["cases"] == {"delivered": 40}
    again = [number for number in range(1, 41) if number % 4 == 0]
    assert sorted(taken) == sorted([(number, 1) for number in range(1, 41)] + [(number, 2) for number in again])
    for journal in hosts:
        journal.close()


@pytest.mark.peer("postgresql")
def test_two_hosts_take_the_same_instances_and_count_each_once(postgresql, fill):
    hosts = [Journal(postgresql), Journal(postgresql)]
    outcomes: list[str] = []

    def receive(journal: Journal, series: tuple[str, ...]) -> None:
        for number in range(25):
            outcomes.extend(journal.arrivals.record(fill.arrival(number, series=uid)).value for uid in series)

    orders = [("1.1", "1.2"), ("1.2", "1.1"), ("1.1", "1.2"), ("1.2", "1.1")]
    threads = [threading.Thread(target=receive, args=(hosts[n % 2], order)) for n, order in enumerate(orders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert (outcomes.count("new"), outcomes.count("duplicate")) == (50, 150)
    assert [(item.arrivals, item.instances) for item in hosts[0].arrivals.open_series()] == [(25, 25), (25, 25)]
    for journal in hosts:
        journal.close()


@pytest.mark.peer("postgresql")
def test_deliveries_of_one_case_that_end_at_once_on_two_hosts_settle_it(postgresql, fill):
    hosts = [Journal(postgresql), Journal(postgresql)]
    names = [f"d{number}" for number in range(6)]
    for number in range(1, 4):
        claim = fill.running(hosts[0], series=f"6.{number}")
        hosts[0].cases.finish(claim, fill.results(number, *names))

    def deliver(journal: Journal, name: str) -> None:
        for delivery in journal.deliveries.pending(name):
            assert journal.deliveries.record_sent(delivery)
        for delivery in journal.deliveries.awaiting(name):
            assert journal.deliveries.record_delivered(delivery)

    threads = [threading.Thread(target=deliver, args=(hosts[n % 2], name)) for n, name in enumerate(names)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert fill.states(hosts[0]) == ["delivered"] * 3
    for journal in hosts:
        journal.close()
