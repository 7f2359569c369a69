//! Many that start at once: one has the name, and the others are told.

use std::ops::Range;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use afunix::SocketFile;

use crate::common::emulated::{FORKS, left_out_by_qemu};
use crate::common::process::{End, Process};
use crate::common::stepper::{Stepped, Stop, is_usable, passes_with_stops};
use crate::common::{TempDir, passes_in_child};
use crate::naive;
use crate::pipe::{PATIENCE, Pipe, which_is_readable};
use crate::server::{Client, KINDS, Kind, Refusal, Server, names};

const STARTERS: u8 = 8;

/// How they are made to run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Pace {
    /// All at once, as fast as they can.
    Natural,
    /// One at a time, each for some system calls, in an order that this number makes.
    Interleaved(u64),
}

/// A way to start.
type Start = fn(&[u8], Kind) -> Result<Server, Refusal>;

fn reclaim(path: &[u8], kind: Kind) -> Result<Server, Refusal> {
    Server::make(SocketFile::options(path).reclaim().lock_wait(PATIENCE), kind)
}

fn reclaim_published_ready(path: &[u8], kind: Kind) -> Result<Server, Refusal> {
    let options = SocketFile::options(path).reclaim().publish_ready().lock_wait(PATIENCE);
    Server::make(options, kind)
}

/// One time that all of them start.
struct Round<'a> {
    folder: &'a TempDir,
    path: &'a [u8],
    start: Start,
    kind: Kind,
    pace: Pace,
    /// Whether the name is that of a dead socket, and not free.
    is_stale: bool,
    /// Whether the winner removes its file, and is not killed.
    is_removed: bool,
}

/// What each starter says of itself.
#[derive(Default)]
struct Reports {
    winners: Vec<u8>,
    in_use: u8,
}

/// What starters and their starter tell each other.
struct Pipes {
    go: Pipe,
    reports: Pipe,
    end: Pipe,
}

impl Round<'_> {
    /// What went wrong in it.
    fn run(&self) -> Result<(), String> {
        let is_there = naive::inode(self.path).is_some();
        if is_there && !self.is_stale {
            std::fs::remove_file(Path::new(std::ffi::OsStr::from_bytes(self.path))).unwrap();
        } else if self.is_stale && !is_there {
            naive::leave_stale(self.path, KINDS[usize::from(self.is_removed)]);
        }
        let pipes = Pipes { go: Pipe::new(), reports: Pipe::new(), end: Pipe::new() };
        let (processes, _answering) = self.start_all(&pipes);
        let mut reports = Reports::default();
        for _ in 0..STARTERS {
            match pipes.reports.hear() {
                [number, b'+'] => reports.winners.push(number),
                [_, b'u'] => reports.in_use += 1,
                [_, b'?'] => {}
                other => panic!("a report of {other:?}"),
            }
        }
        let verdict = self.verdict(&reports);
        if verdict.is_ok() && self.is_removed {
            return self.has_removed(&pipes, &reports, processes);
        }
        for process in processes {
            process.kill();
        }
        verdict
    }

    fn start_all(&self, pipes: &Pipes) -> (Vec<Process>, Vec<Process>) {
        let start = || (self.start)(self.path, self.kind);
        let tell = |number, server: Result<Server, Refusal>| {
            let report = match server {
                Ok(_) => b'+',
                Err(Refusal::InUse) => b'u',
                Err(_) => b'?',
            };
            pipes.reports.say(&[number, report]);
            server.map_or(0, |server| serve(&server, number, &pipes.end))
        };
        match self.pace {
            Pace::Natural => {
                let all = (0..STARTERS).map(|number| {
                    Process::start(|| {
                        pipes.go.hear::<1>();
                        tell(number, start())
                    })
                });
                let all = all.collect();
                pipes.go.say(&[0; STARTERS as usize]);
                (all, Vec::new())
            }
            Pace::Interleaved(seed) => {
                let all = (0..STARTERS).map(|number| {
                    Stepped::start(|| (), |()| start(), |server| tell(number, server))
                });
                interleave(all.collect(), seed)
            }
        }
    }

    fn verdict(&self, reports: &Reports) -> Result<(), String> {
        let Reports { winners, in_use } = reports;
        let &[winner] = winners.as_slice() else {
            return Err(format!("{winners:?} all have the name"));
        };
        if *in_use != STARTERS - 1 {
            return Err(format!("only {in_use} were told that the name is in use"));
        }
        let client = Client::connect(self.path, self.kind)
            .map_err(|errno| format!("{winner} is not to be reached: {errno:?}"))?;
        match client.answer() {
            Some(number) if number == winner => {}
            other => return Err(format!("not {winner} has answered, but {other:?}")),
        }
        match names(self.folder.path()).as_slice() {
            [name] if name == NAME => Ok(()),
            other => Err(format!("there are {other:?}")),
        }
    }

    /// Has the winner remove its file.
    fn has_removed(
        &self,
        pipes: &Pipes,
        reports: &Reports,
        processes: Vec<Process>,
    ) -> Result<(), String> {
        pipes.end.say(b"r");
        for (number, process) in (0..).zip(processes) {
            let end = process.wait();
            let expected = if reports.winners == [number] { REMOVED } else { 0 };
            if end != End::Code(expected) {
                return Err(format!("{number} has ended with {end:?}"));
            }
        }
        let left = names(self.folder.path());
        if left.is_empty() { Ok(()) } else { Err(format!("there are {left:?} left")) }
    }
}

/// How a winner ends that has removed its file.
const REMOVED: i32 = 77;

fn serve(server: &Server, number: u8, end: &Pipe) -> u8 {
    loop {
        let fds = [afunix::AsRawFd::as_raw_fd(&server.socket), end.reader.as_raw_fd()];
        let [is_asked, is_over] = which_is_readable(fds, PATIENCE);
        if is_asked {
            server.answer(number, Duration::ZERO);
        }
        if is_over {
            let removed = server.file.as_ref().is_some_and(|file| file.remove() == Ok(true));
            return if removed { REMOVED.try_into().unwrap() } else { 1 };
        }
    }
}

/// Numbers that look like any.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}

/// Lets one at a time run for some system calls, until each has made its start. Who pauses does so beside
/// the others. The answer is all of them, and who answers for them from then on.
fn interleave(all: Vec<Stepped>, seed: u64) -> (Vec<Process>, Vec<Process>) {
    let mut dice = Dice(seed);
    let mut done: Vec<Option<Process>> = all.iter().map(|_| None).collect();
    let mut answering = Vec::new();
    let mut ready: Vec<_> = all.into_iter().enumerate().collect();
    let mut paused: Vec<(usize, Stepped)> = Vec::new();
    while !ready.is_empty() || !paused.is_empty() {
        let mut awake = 0;
        while awake < paused.len() {
            // Where nobody else is left, one is waited for.
            if ready.is_empty() || paused[awake].1.has_stopped() {
                let (number, mut stepped) = paused.swap_remove(awake);
                stepped.stop();
                ready.push((number, stepped));
            } else {
                awake += 1;
            }
        }
        let (number, mut stepped) = ready.swap_remove(dice.below(ready.len()));
        let mut calls = 1 + dice.below(6);
        loop {
            match stepped.at() {
                Stop::Done => {
                    let [process, answers] = stepped.detach();
                    done[number] = Some(process);
                    answering.push(answers);
                    break;
                }
                Stop::Before(_, call) if call.is_pause() => {
                    stepped.resume();
                    paused.push((number, stepped));
                    break;
                }
                Stop::Before(..) if calls == 0 => {
                    ready.push((number, stepped));
                    break;
                }
                Stop::Before(..) => {
                    stepped.step();
                    calls -= 1;
                }
            }
        }
    }
    let done = done.into_iter().map(|process| process.expect("one that is done")).collect();
    (done, answering)
}

const NAME: &str = "control";

/// Rounds of all types of sockets, beginning with a dead one or with none; how they went.
fn rounds(
    start: Start,
    pace: impl Fn(u64) -> Pace,
    numbers: Range<u64>,
) -> impl Iterator<Item = Result<(), String>> {
    let folder = TempDir::new();
    let path = folder.join(NAME).as_os_str().as_bytes().to_vec();
    numbers.map(move |number| {
        let kind = KINDS[usize::try_from(number % 3).unwrap()];
        let is_stale = number % 2 == 1;
        let (folder, path, pace) = (&folder, path.as_slice(), pace(number));
        // So that the next finds what it begins with.
        let round = Round { folder, path, start, kind, pace, is_stale, is_removed: is_stale };
        round.run().map_err(|wrong| format!("{kind:?}, round {number} {pace:?}: {wrong}"))
    })
}

#[track_caller]
fn all_are_well(rounds: impl Iterator<Item = Result<(), String>>) {
    let wrong: Vec<_> = rounds.filter_map(Result::err).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A pace whose order is the same in each run of the test.
fn interleaved(number: u64) -> Pace {
    Pace::Interleaved((number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// Each a process of its own, for which there is a limit of time: together 200 rounds of each way at the pace
/// that comes, and of the first in an order of calls that does not.
macro_rules! one_of_eight_has_the_name {
    ($($test:ident: $start:ident, $pace:expr, $numbers:expr;)+) => {
        $(
            #[test]
            fn $test() {
                passes_in_child(concat!("starters::", stringify!($test)), || {
                    // What is stopped at its calls has to be one that can.
                    let pace: fn(u64) -> Pace = $pace;
                    if pace(0) == Pace::Natural || is_usable() {
                        // A round forks eight times, so that a few of them are made there.
                        let count = if left_out_by_qemu(FORKS) { 20 } else { usize::MAX };
                        all_are_well(rounds($start, pace, $numbers).take(count));
                    }
                });
            }
        )+
    };
}

one_of_eight_has_the_name! {
    at_any_start: reclaim, |_| Pace::Natural, 0..200;
    at_any_start_that_publishes_what_is_ready: reclaim_published_ready, |_| Pace::Natural, 0..200;
    in_any_order_of_calls: reclaim, interleaved, 0..50;
    in_any_other_order_of_calls: reclaim, interleaved, 50..100;
    in_any_third_order_of_calls: reclaim, interleaved, 100..150;
    in_any_fourth_order_of_calls: reclaim, interleaved, 150..200;
    in_any_order_of_calls_that_publish_what_is_ready: reclaim_published_ready, interleaved, 0..50;
}

/// More than one has the name, or who has it is not who is reached.
#[test]
fn starters_without_a_lock_are_seen_to_fail() {
    passes_with_stops("starters::starters_without_a_lock_are_seen_to_fail", || {
        for start in [naive::connect_unlink_bind, naive::checked_without_lock] {
            let wrong = rounds(start, interleaved, 0..40).filter(Result::is_err).count();
            assert!(wrong > 5, "only {wrong} rounds have failed");
        }
    });
}
