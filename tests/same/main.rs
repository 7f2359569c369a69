//! The same random calls on std's sockets and on these: what they give must be the same, to the byte
//! and to the number of the error.
//!
//! They are a program of their own because a child, from its birth to its `exec`, has a copy of every
//! descriptor of its parent: to a peer, a socket that was dropped would not be closed yet.

#![cfg(feature = "std")]

#[path = "../common/mod.rs"]
#[macro_use]
mod common;

mod makes;
mod world;

use std::cell::Cell;
use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::common::Watchdog;
use crate::makes::{Ours, Theirs, plant};
use crate::world::{CALLS, Op, World};

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = (select(CALLS), any::<u8>(), any::<u8>());
    proptest::collection::vec(op.prop_map(|(call, who, what)| Op { call, who, what }), 1..60)
}

/// What each call came to on std's sockets, and on these.
fn both(ops: &[Op]) -> [Vec<String>; 2] {
    let _watchdog = Watchdog::new();
    [World::<Theirs>::run(ops), World::<Ours>::run(ops)]
}

/// The first call that came to something else, with all before it.
fn difference(ops: &[Op]) -> Result<(), String> {
    let [theirs, ours] = both(ops);
    let Some(at) = (0..ops.len()).find(|&at| theirs[at] != ours[at]) else {
        return Ok(());
    };
    let before: Vec<_> = ops.iter().zip(&ours).take(at).collect();
    Err(format!("{before:#?}\n{:?}\nstd:  {}\nours: {}", ops[at], theirs[at], ours[at]))
}

/// The same cases each time.
fn runner(cases: u32) -> TestRunner {
    let config =
        Config { cases, failure_persistence: None, max_shrink_iters: 0, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

/// Fewer cases than elsewhere if nobody asks for a number: each makes files, and waits for ticks.
fn config() -> Config {
    let config = Config { failure_persistence: None, ..Config::default() };
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    if asked { config } else { Config { cases: 64, ..config } }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn random_calls_come_to_what_they_come_to_with_std(ops in ops()) {
        let found = difference(&ops);
        prop_assert!(found.is_ok(), "{}", found.unwrap_err());
    }
}

/// They are not the same because nothing happens: each call succeeds at times and fails at times, where
/// it can, with all the numbers that there are.
#[test]
fn random_calls_come_to_all_that_there_is() {
    let seen = Cell::new(BTreeSet::new());
    let all = runner(160).run(&ops(), |ops| {
        let mut known = seen.take();
        for (op, result) in ops.iter().zip(World::<Ours>::run(&ops)) {
            known.insert(match result.strip_prefix("Err(") {
                Some(number) => (format!("{:?}", op.call), number.trim_end_matches(')').to_owned()),
                None => {
                    (format!("{:?}", op.call), result.chars().take_while(|c| *c != '(').collect())
                }
            });
        }
        seen.set(known);
        Ok(())
    });
    all.unwrap();
    let seen = seen.take();
    for call in CALLS {
        let call = format!("{call:?}");
        assert!(
            seen.contains(&(call.clone(), "Ok".to_owned())),
            "{call} never succeeds: {seen:#?}"
        );
    }
    for number in [
        libc::EAGAIN,
        libc::EPIPE,
        libc::ECONNRESET,
        libc::ECONNREFUSED,
        libc::ENOTCONN,
        libc::EADDRINUSE,
        libc::EPERM,
        libc::EINVAL,
        libc::EMSGSIZE,
        libc::ENOENT,
        libc::EPROTOTYPE,
    ] {
        let number = number.to_string();
        assert!(seen.iter().any(|(_, told)| *told == number), "{number} is never told: {seen:#?}");
    }
}

/// What would be if one call were another: it is found, each time.
#[test]
fn planted_differences_are_found() {
    for number in 1..=plant::COUNT {
        plant::set(number);
        let found = runner(1000).run(&ops(), |ops| difference(&ops).map_err(TestCaseError::fail));
        plant::set(0);
        assert!(found.is_err(), "difference {number} was not found");
    }
}
