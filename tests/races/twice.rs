//! Two misfortunes, one after the other: a start is killed and the next one too; or a stranger puts a file
//! of his own in the way of who is killed then.

use std::os::unix::ffi::OsStrExt;

use crate::common::stepper::passes_with_stops;
use crate::killed::{
    Before, Case, LONGEST, PLAIN, World, publish_ready, reclaim, reclaim_widened, replace, start,
    widened,
};
use crate::naive;
use crate::server::{Kind, Refusal, reaches};

/// Kills the start after each call that changes something, or before the first, and its successor after
/// each of its own, and lets a third one start. The answer is how many pairs there were.
fn kill_each_and_its_successor(case: &Case) -> usize {
    let mut pairs = 0;
    for first in 0.. {
        for second in 0.. {
            let world = World::new(case);
            let mut stepped = start(case, &world);
            if stepped.step_over_changes(first).is_none() {
                return pairs;
            }
            stepped.kill();
            let successor = Case { start: case.retry, removes: false, ..*case };
            let mut stepped = start(&successor, &world);
            if stepped.step_over_changes(second).is_none() {
                break;
            }
            stepped.kill();
            pairs += 1;
            let checked = world.check_after_kill().and_then(|()| {
                let server = (case.retry)(&world.path, case.kind);
                world.check_after_retry(server.map_err(|refusal| format!("{refusal:?}"))?)
            });
            assert_eq!(checked, Ok(()), "after {first} and {second} changes");
        }
    }
    unreachable!()
}

macro_rules! killed_twice {
    ($($test:ident: $case:expr, $pairs:literal;)+) => {
        $(
            #[test]
            fn $test() {
                passes_with_stops(concat!("twice::", stringify!($test)), || {
                    // SAFETY: a number alone.
                    unsafe { libc::umask(0o022) };
                    let pairs = kill_each_and_its_successor(&$case);
                    println!("killed {pairs} pairs");
                    assert!(pairs >= $pairs, "only {pairs} pairs");
                });
            }
        )+
    };
}

killed_twice! {
    reclaiming_starts: Case { before: Before::Stale, start: reclaim, ..PLAIN }, 30;
    replacing_starts: Case { before: Before::Live, start: replace, retry: replace, ..PLAIN }, 30;
    starts_of_datagrams_with_a_wider_mode: Case {
        kind: Kind::Datagram,
        start: widened,
        retry: reclaim_widened,
        ..PLAIN
    }, 25;
    removal_and_start: Case { kind: Kind::Seqpacket, removes: true, ..PLAIN }, 20;
    replacing_after_reclaiming_with_the_longest_name: Case {
        name: LONGEST,
        before: Before::Stale,
        start: reclaim,
        retry: replace,
        ..PLAIN
    }, 30;
}

/// What a stranger puts at the name, by a rename.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Strange {
    File,
    Socket,
}

/// Lets it go on for so many stops, then has the stranger put his file at the name, lets it go on for so
/// many changes and kills it; without those it comes to its end. `None` if it has no so many.
fn with_a_stranger(
    case: &Case,
    strange: Strange,
    before: usize,
    after: Option<usize>,
) -> Option<()> {
    let world = World::new(case);
    let mut stepped = start(case, &world);
    stepped.step_over(before)?;
    let elsewhere = world.folder.join("elsewhere");
    let stranger = match strange {
        Strange::File => {
            std::fs::write(&elsewhere, "strange").unwrap();
            None
        }
        Strange::Socket => Some(naive::bind(elsewhere.as_os_str().as_bytes(), case.kind).unwrap()),
    };
    let theirs = naive::inode(elsewhere.as_os_str().as_bytes());
    let path = std::path::Path::new(std::ffi::OsStr::from_bytes(&world.path));
    std::fs::rename(&elsewhere, path).unwrap();
    match after {
        None => drop(stepped.finish()),
        Some(after) => {
            stepped.step_over_changes(after)?;
            stepped.kill();
        }
    }
    let again = reclaim(&world.path, case.kind).map(drop);
    let expected = if stranger.is_some() { Refusal::InUse } else { Refusal::NotASocket };
    let now = naive::inode(&world.path);
    let what = format!("{strange:?} after {before} and {after:?}");
    assert_eq!((again, now), (Err(expected), theirs), "{what}");
    assert_eq!(world.check_files(&[case.name]), Ok(()), "{what}");
    if let Some(stranger) = &stranger {
        assert_eq!(reaches(&world.path, stranger), Ok(()), "{what}");
    }
    Some(())
}

/// Every call after which a stranger may come, and every change from there after which to be killed, or
/// none. The answer is how many there were.
fn strangers_everywhere(case: &Case, strange: Strange) -> usize {
    let mut count = 0;
    for before in 0.. {
        if with_a_stranger(case, strange, before, None).is_none() {
            return count;
        }
        let afters = (0..).map_while(|after| with_a_stranger(case, strange, before, Some(after)));
        count += 1 + afters.count();
    }
    unreachable!()
}

macro_rules! strangers {
    ($($test:ident: $strange:ident, $case:expr, $count:literal;)+) => {
        $(
            #[test]
            fn $test() {
                passes_with_stops(concat!("twice::", stringify!($test)), || {
                    let count = strangers_everywhere(&$case, Strange::$strange);
                    println!("{count} strangers");
                    assert!(count >= $count, "only {count}");
                });
            }
        )+
    };
}

const REMOVAL: Case = Case { removes: true, ..PLAIN };
const RECLAIMING: Case = Case { before: Before::Stale, start: reclaim, ..PLAIN };
const REPLACING: Case = Case { before: Before::Live, start: replace, retry: replace, ..PLAIN };
const READY: Case = Case { start: publish_ready, ..PLAIN };

strangers! {
    a_file_while_one_is_removed: File, REMOVAL, 25;
    a_socket_while_one_is_removed: Socket, REMOVAL, 25;
    a_file_while_one_is_reclaimed: File, RECLAIMING, 60;
    a_socket_while_one_is_reclaimed: Socket, RECLAIMING, 60;
    a_file_while_one_is_published: File, READY, 50;
    a_socket_while_one_is_published: Socket, READY, 50;
    a_file_while_one_is_replaced: File, REPLACING, 50;
}
