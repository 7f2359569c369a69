//! A hundred servers, each of which takes the name over from the one before, and clients that never notice.

use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use afunix::{Errno, SocketFile, UnixAddr, UnixDatagram};

use crate::common::process::{End, Process, Shared};
use crate::common::stepper::{Stepped, passes_with_stops};
use crate::common::{TempDir, passes_in_child};
use crate::naive;
use crate::pipe::{PATIENCE, Pipe, which_is_readable};
use crate::server::{Client, KINDS, Kind, Refusal, Server, names};

const NAME: &str = "control";

/// How a server takes the name.
type Take = fn(&[u8], Kind) -> Result<Server, Refusal>;

fn replace(path: &[u8], kind: Kind) -> Result<Server, Refusal> {
    Server::make(SocketFile::options(path).replace().lock_wait(PATIENCE), kind)
}

const CLIENTS: usize = 3;

/// What all of them count together.
#[derive(Clone, Copy)]
struct Counts(&'static [AtomicU32; 64]);

impl Counts {
    /// Clients, that a server was reached: connected to and answered, or sent to.
    const ANSWERED: usize = 0;
    /// Clients, that none was reached; the last errno.
    const FAILED: usize = 1;
    const ERRNO: usize = 2;
    /// Clients, that who was connected to did not answer.
    const UNANSWERED: usize = 3;
    /// Servers, whom they have answered, or received from.
    const SERVED: usize = 4;
    /// Those of whom there is a successor already.
    const SERVED_LATE: usize = 5;
    /// Whether it is over.
    const OVER: usize = 6;
    /// Of each client, how often it has begun to connect and come back from it: odd while it does.
    const PHASES: usize = 8;

    fn get(self, at: usize) -> u32 {
        self.0[at].load(SeqCst)
    }

    fn add(self, at: usize) {
        self.0[at].fetch_add(1, SeqCst);
    }

    fn phases(self) -> [u32; CLIENTS] {
        std::array::from_fn(|client| self.get(Self::PHASES + client))
    }

    /// How many clients wait for an answer, or how many datagrams were not received yet.
    fn pending(self, kind: Kind) -> u32 {
        if kind == Kind::Datagram {
            let sent = self.get(Self::ANSWERED);
            return sent.saturating_sub(self.get(Self::SERVED));
        }
        let tried: u32 = self.phases().iter().map(|phase| phase / 2).sum();
        let done = [Self::ANSWERED, Self::FAILED, Self::UNANSWERED];
        tried.saturating_sub(done.iter().map(|done| self.get(*done)).sum())
    }
}

/// Waits until it is so.
#[track_caller]
fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "waited too long for {what}");
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// Reaches the server of that name again and again.
fn hammer(path: &[u8], kind: Kind, number: usize, counts: Counts) -> u8 {
    let addr = UnixAddr::from_pathname(path).unwrap();
    let socket = UnixDatagram::unbound().unwrap();
    while counts.get(Counts::OVER) == 0 {
        counts.add(Counts::PHASES + number);
        let outcome = if kind == Kind::Datagram {
            socket.send_to(b"?", &addr).map(|_| None)
        } else {
            Client::connect(path, kind).map(Some)
        };
        counts.add(Counts::PHASES + number);
        match outcome {
            Ok(client) if client.as_ref().is_none_or(|client| client.answer().is_some()) => {
                counts.add(Counts::ANSWERED);
            }
            Ok(_) => counts.add(Counts::UNANSWERED),
            Err(errno) => {
                counts.0[Counts::ERRNO].store(errno.raw_os_error().cast_unsigned(), SeqCst);
                counts.add(Counts::FAILED);
            }
        }
    }
    0
}

/// A server in a process of its own, and the pipe by which it is told what to do.
struct Generation {
    process: Process,
    orders: Pipe,
}

impl Generation {
    /// Starts one, and waits until it has the name.
    fn start(take: Take, path: &[u8], kind: Kind, counts: Counts) -> Self {
        let (orders, ready) = (Pipe::new(), Pipe::new());
        let process = Process::start(|| {
            let server = take(path, kind).expect("a name that can be taken");
            ready.say(b"+");
            serve(&server, &orders, counts)
        });
        ready.hear::<1>();
        Self { process, orders }
    }

    /// Has it leave nobody waiting, and end.
    fn end(self) {
        self.orders.say(b"q");
        assert_eq!(self.process.wait(), End::Code(0));
    }
}

/// Answers until it is told to quit, and then whoever is pending.
fn serve(server: &Server, orders: &Pipe, counts: Counts) -> u8 {
    let (mut waits, mut is_late) = (false, false);
    let socket = afunix::AsRawFd::as_raw_fd(&server.socket);
    let served = |is_late| {
        counts.add(Counts::SERVED);
        if is_late {
            counts.add(Counts::SERVED_LATE);
        }
    };
    loop {
        let fds = [if waits { -1 } else { socket }, orders.reader.as_raw_fd()];
        let [is_asked, is_told] = which_is_readable(fds, PATIENCE);
        if is_asked && server.answer(1, Duration::ZERO) {
            served(is_late);
        }
        match is_told.then(|| orders.hear()) {
            None => {}
            Some([b'w']) => waits = true,
            Some([b'l']) => (waits, is_late) = (false, true),
            Some(_) => break,
        }
    }
    while server.answer(1, Duration::ZERO) {
        served(true);
    }
    0
}

/// Has so many servers take the name from each other while it is hammered at, or as many as it takes until
/// that fails; the first is there before.
fn take_over(take: Take, kind: Kind, times: u32) -> Counts {
    let folder = TempDir::new();
    let path = folder.join(NAME).as_os_str().as_bytes().to_vec();
    // SAFETY: atomics, of which zeros are a value.
    let counts = Counts(unsafe { Shared::<[_; _]>::zeroed() }.leak());
    let mut now = Generation::start(replace, &path, kind, counts);
    let clients: Vec<_> =
        (0..CLIENTS).map(|number| Process::start(|| hammer(&path, kind, number, counts))).collect();
    let seen = || counts.get(Counts::ANSWERED) + counts.get(Counts::FAILED);
    for number in 0..times {
        if counts.get(Counts::FAILED) > 0 {
            break;
        }
        let before = seen();
        wait_until("clients", || seen() >= before + 2);
        if number % 2 == 0 {
            // That somebody is pending when there is a successor.
            now.orders.say(b"w");
            wait_until("who is pending", || counts.pending(kind) > 0);
        }
        let next = Generation::start(take, &path, kind, counts);
        now.orders.say(b"l");
        // Whoever has looked the name up before is with the old one when he is back.
        let begun = counts.phases();
        let is_back = |(then, now): (&u32, u32)| *then % 2 == 0 || *then != now;
        wait_until("who looked the name up before", || {
            begun.iter().zip(counts.phases()).all(is_back)
        });
        now.end();
        now = next;
    }
    counts.0[Counts::OVER].store(1, SeqCst);
    for client in clients {
        assert_eq!(client.wait(), End::Code(0));
    }
    now.end();
    assert_eq!(names(folder.path()), [NAME]);
    counts
}

#[track_caller]
fn nobody_notices(kind: Kind) {
    let counts = take_over(replace, kind, 100);
    let [answered, failed, errno, unanswered, served, late] =
        std::array::from_fn(|at| counts.get(at));
    println!("{kind:?}: {answered} answered, {late} of them by who had a successor");
    assert_eq!((failed, errno, unanswered), (0, 0, 0), "{kind:?}");
    // None was answered twice, or sent to nowhere.
    assert_eq!(answered, served, "{kind:?}");
    assert!(answered >= 200 && late >= 20, "{kind:?}: {answered}, {late}");
}

#[test]
fn no_client_of_streams_notices_a_hundred_takeovers() {
    passes_in_child("takeover::no_client_of_streams_notices_a_hundred_takeovers", || {
        nobody_notices(Kind::Stream);
    });
}

#[test]
fn no_client_of_seqpackets_notices_a_hundred_takeovers() {
    passes_in_child("takeover::no_client_of_seqpackets_notices_a_hundred_takeovers", || {
        nobody_notices(Kind::Seqpacket);
    });
}

#[test]
fn no_sender_of_datagrams_notices_a_hundred_takeovers() {
    passes_in_child("takeover::no_sender_of_datagrams_notices_a_hundred_takeovers", || {
        nobody_notices(Kind::Datagram);
    });
}

#[test]
fn takeover_that_unlinks_and_binds_is_seen_to_fail() {
    passes_in_child("takeover::takeover_that_unlinks_and_binds_is_seen_to_fail", || {
        for kind in KINDS {
            let counts = take_over(naive::unlink_bind, kind, 100);
            let (failed, errno) = (counts.get(Counts::FAILED), counts.get(Counts::ERRNO));
            assert!(failed > 0, "{kind:?}: no failure");
            let errno = Errno::from_raw_os_error(errno.cast_signed());
            assert!([Errno::NOENT, Errno::CONNREFUSED].contains(&errno), "{kind:?}: {errno:?}");
        }
    });
}

/// What a client finds at each stop of a server that takes the name from another.
fn at_each_stop(take: Take, kind: Kind) -> Vec<Result<bool, Errno>> {
    let folder = TempDir::new();
    let path = folder.join(NAME).as_os_str().as_bytes().to_vec();
    let old = replace(&path, kind).unwrap();
    let mut new = Stepped::start(|| (), |()| take(&path, kind), |taken| u8::from(taken.is_err()));
    let mut found = Vec::new();
    loop {
        // Whether it is the old one: the other does not answer here.
        let client = Client::connect(&path, kind);
        found.push(client.map(|_| old.answer(1, Duration::ZERO)));
        if new.step().is_none() {
            assert_eq!(new.finish(), End::Code(0));
            return found;
        }
    }
}

#[test]
fn at_each_call_of_a_takeover_the_old_or_the_new_is_reached() {
    passes_with_stops("takeover::at_each_call_of_a_takeover_the_old_or_the_new_is_reached", || {
        for kind in KINDS {
            let found = at_each_stop(replace, kind);
            let old = found.iter().take_while(|found| **found == Ok(true)).count();
            assert!(old > 10 && old < found.len(), "{kind:?}: {found:?}");
            assert!(found[old..].iter().all(|found| *found == Ok(false)), "{kind:?}: {found:?}");
            let found = at_each_stop(naive::unlink_bind, kind);
            assert!(found.contains(&Err(Errno::NOENT)), "{kind:?}: {found:?}");
        }
    });
}
