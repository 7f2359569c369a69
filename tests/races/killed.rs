//! Starts and removals that are killed at each of their system calls: nothing of others is lost, and the
//! next start makes good what is left.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use afunix::{Errno, SocketFile, SocketFileOptions};

use crate::common::TempDir;
use crate::common::seccomp::{RENAME, filter};
use crate::common::stepper::{Stepped, Stop, passes_with_stops};
use crate::naive;
use crate::pipe::PATIENCE;
use crate::server::{Kind, Refusal, Server, names, reaches};

/// What has the name at first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Before {
    Nothing,
    Stale,
    Live,
}

/// What is killed.
#[derive(Clone, Copy)]
pub struct Case {
    pub name: &'static str,
    pub kind: Kind,
    pub before: Before,
    /// How it starts.
    pub start: fn(&[u8], Kind) -> Result<Server, Refusal>,
    /// How its successor does.
    pub retry: fn(&[u8], Kind) -> Result<Server, Refusal>,
    /// Whether it starts and stays whole, and is killed while it removes its file.
    pub removes: bool,
    /// At which calls it must have been killed, at least.
    pub calls: &'static [&'static str],
}

fn options(path: &[u8]) -> SocketFileOptions<'_> {
    SocketFile::options(path).lock_wait(PATIENCE)
}

fn plain(path: &[u8], kind: Kind) -> Result<Server, Refusal> {
    Server::make(options(path), kind)
}

pub fn reclaim(path: &[u8], kind: Kind) -> Result<Server, Refusal> {
    Server::make(options(path).reclaim(), kind)
}

pub fn replace(path: &[u8], kind: Kind) -> Result<Server, Refusal> {
    Server::make(options(path).replace(), kind)
}

pub fn publish_ready(path: &[u8], kind: Kind) -> Result<Server, Refusal> {
    Server::make(options(path).publish_ready(), kind)
}

fn reclaim_published_ready(path: &[u8], kind: Kind) -> Result<Server, Refusal> {
    Server::make(options(path).publish_ready().reclaim(), kind)
}

/// With a mode that the umask of the test takes from.
pub fn widened(path: &[u8], kind: Kind) -> Result<Server, Refusal> {
    Server::make(options(path).mode(0o666), kind)
}

pub fn reclaim_widened(path: &[u8], kind: Kind) -> Result<Server, Refusal> {
    use std::os::unix::fs::PermissionsExt;
    let server = Server::make(options(path).mode(0o666).reclaim(), kind)?;
    let path = std::path::Path::new(std::ffi::OsStr::from_bytes(path));
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o7777, 0o666);
    Ok(server)
}

/// A folder with the name, and with what is nobody's business: a file, and a socket that lives.
pub struct World {
    pub folder: TempDir,
    pub name: &'static str,
    pub path: Vec<u8>,
    neighbour: Server,
    neighbour_path: Vec<u8>,
    /// Who has the name, if somebody has.
    old: Option<Server>,
}

/// Names that look as if they were the crate's.
const FILE: &str = "control.afunix";
const SOCKET: &str = ".control";

impl World {
    pub fn new(case: &Case) -> Self {
        let folder = TempDir::new();
        let bytes = |name: &str| folder.join(name).as_os_str().as_bytes().to_vec();
        let (path, neighbour_path) = (bytes(case.name), bytes(SOCKET));
        std::fs::write(folder.join(FILE), "kept").unwrap();
        let neighbour = naive::bind(&neighbour_path, Kind::Stream).unwrap();
        let old = match case.before {
            Before::Nothing => None,
            // Not by its path, which may be too long for that.
            Before::Stale => {
                drop(plain(&path, case.kind).unwrap());
                None
            }
            Before::Live => Some(plain(&path, case.kind).unwrap()),
        };
        Self { folder, name: case.name, path, neighbour, neighbour_path, old }
    }

    /// What was lost by the kill.
    pub fn check_after_kill(&self) -> Result<(), String> {
        let (Some(old), now) = (&self.old, naive::inode(&self.path)) else { return Ok(()) };
        let is_in_place = old.file.as_ref().unwrap().is_in_place() == Ok(true);
        match now {
            None => Err("the name of a live socket is gone".into()),
            Some(_) if is_in_place => reaches(&self.path, old),
            // Its successor's.
            Some(_) => Ok(()),
        }
    }

    /// What is wrong once another server has started.
    pub fn check_after_retry(&self, server: Server) -> Result<(), String> {
        reaches(&self.path, &server)?;
        self.check_files(&[self.name])?;
        if server.file.is_none_or(|file| file.remove() == Ok(true)) {
            return Ok(());
        }
        Err("the file could not be removed".into())
    }

    /// Whether there are these names, and the neighbours as they were.
    pub fn check_files(&self, own: &[&str]) -> Result<(), String> {
        let mut expected = [own, &[FILE, SOCKET]].concat();
        expected.sort_unstable();
        let found = names(self.folder.path());
        if found != expected {
            return Err(format!("there are {found:?}"));
        }
        if std::fs::read(self.folder.join(FILE)).unwrap() != b"kept" {
            return Err("a neighbour's file has changed".into());
        }
        reaches(&self.neighbour_path, &self.neighbour)
    }
}

/// What came of it.
#[derive(Default)]
struct Kills {
    count: usize,
    /// The calls that were about to be made.
    calls: BTreeSet<&'static str>,
    wrong: Vec<String>,
}

/// Starts it as the case has it, and stops it before its first call.
pub fn start(case: &Case, world: &World) -> Stepped {
    let make = || (case.start)(&world.path, case.kind);
    if case.removes {
        let remove = |made: Server| made.file.as_ref().unwrap().remove();
        return Stepped::start(|| make().unwrap(), remove, |was| u8::from(was != Ok(true)));
    }
    Stepped::start(|| (), |()| make(), |made| u8::from(made.is_err()))
}

/// Kills it at each stop, and lets another start after that.
fn kill_at_each_stop(case: &Case) -> Kills {
    let mut kills = Kills::default();
    loop {
        let world = World::new(case);
        let mut stepped = start(case, &world);
        let Some(stop) = stepped.step_over(kills.count) else {
            return kills;
        };
        stepped.kill();
        kills.count += 1;
        if let Stop::Before(_, call) = stop {
            kills.calls.insert(call.name());
        }
        let checked = world.check_after_kill().and_then(|()| {
            let server = (case.retry)(&world.path, case.kind);
            let server = server.map_err(|refusal| format!("the retry is {refusal:?}"))?;
            world.check_after_retry(server)
        });
        kills.wrong.extend(checked.err().map(|wrong| format!("{stop:?}: {wrong}")));
    }
}

pub const PLAIN: Case = Case {
    name: "control",
    kind: Kind::Stream,
    before: Before::Nothing,
    start: plain,
    retry: reclaim,
    removes: false,
    calls: &["openat", "bind", "listen"],
};

/// A name that no address has room for.
pub const LONGEST: &str = match std::str::from_utf8(&[b'n'; 255]) {
    Ok(name) => name,
    Err(_) => "",
};

const ASIDE: &[&str] = &["openat", "flock", "bind", "listen", "renameat2"];
const REPLACED: &[&str] = &["openat", "flock", "bind", "listen", "renameat2", "unlinkat"];

#[track_caller]
fn is_well_wherever_it_is_killed(case: &Case) {
    // SAFETY: a number alone.
    unsafe { libc::umask(0o022) };
    let kills = kill_at_each_stop(case);
    assert!(kills.wrong.is_empty(), "{:#?}", kills.wrong);
    let missing: Vec<_> = case.calls.iter().filter(|call| !kills.calls.contains(*call)).collect();
    assert!(missing.is_empty(), "it was never killed at {missing:?}");
    println!("killed {} times", kills.count);
    // Before each call, and after the last.
    assert!(kills.count > case.calls.len(), "{}", kills.count);
}

macro_rules! killed {
    ($($test:ident: $case:expr;)+) => {
        $(
            #[test]
            fn $test() {
                passes_with_stops(concat!("killed::", stringify!($test)), || {
                    is_well_wherever_it_is_killed(&$case);
                });
            }
        )+
    };
}

killed! {
    plain_start: PLAIN;
    plain_start_of_seqpackets: Case { kind: Kind::Seqpacket, ..PLAIN };
    plain_start_of_datagrams: Case { kind: Kind::Datagram, calls: &["openat", "bind"], ..PLAIN };
    reclaiming_start: Case {
        before: Before::Stale,
        start: reclaim,
        calls: &["openat", "flock", "bind", "connect", "renameat2", "unlinkat", "listen"],
        ..PLAIN
    };
    reclaiming_start_of_datagrams: Case {
        kind: Kind::Datagram,
        before: Before::Stale,
        start: reclaim,
        calls: &["openat", "flock", "bind", "connect", "renameat2", "unlinkat"],
        ..PLAIN
    };
    reclaiming_start_of_seqpackets: Case {
        kind: Kind::Seqpacket,
        before: Before::Stale,
        start: reclaim_published_ready,
        retry: reclaim_published_ready,
        calls: &["openat", "flock", "bind", "connect", "renameat2", "unlinkat", "listen"],
        ..PLAIN
    };
    replacing_start: Case {
        before: Before::Live,
        start: replace,
        retry: replace,
        calls: REPLACED,
        ..PLAIN
    };
    replacing_start_of_datagrams: Case {
        kind: Kind::Datagram,
        before: Before::Live,
        start: replace,
        retry: replace,
        calls: &["openat", "flock", "bind", "renameat2", "unlinkat"],
        ..PLAIN
    };
    replacing_start_where_nobody_lives: Case {
        kind: Kind::Seqpacket,
        before: Before::Stale,
        start: replace,
        retry: replace,
        calls: REPLACED,
        ..PLAIN
    };
    start_that_publishes_what_is_ready: Case { start: publish_ready, calls: ASIDE, ..PLAIN };
    start_of_datagrams_with_a_wider_mode: Case {
        kind: Kind::Datagram,
        start: widened,
        retry: reclaim_widened,
        calls: &["openat", "flock", "bind", "fchmodat", "renameat2"],
        ..PLAIN
    };
    start_with_the_longest_name: Case { name: LONGEST, calls: ASIDE, ..PLAIN };
    replacing_start_with_the_longest_name: Case {
        name: LONGEST,
        before: Before::Live,
        start: replace,
        retry: replace,
        calls: REPLACED,
        ..PLAIN
    };
    removal: Case {
        removes: true,
        calls: &["openat", "flock", "renameat2", "unlinkat"],
        ..PLAIN
    };
    removal_of_the_longest_name: Case {
        name: LONGEST,
        kind: Kind::Datagram,
        removes: true,
        calls: &["openat", "flock", "renameat2", "unlinkat"],
        ..PLAIN
    };
}

/// Where a file cannot be renamed but over another: it is published by a link, and has two names for a while.
#[test]
fn starts_and_removal_where_files_cannot_be_exchanged() {
    passes_with_stops("killed::starts_and_removal_where_files_cannot_be_exchanged", || {
        // RISC-V has no other call to rename by.
        if cfg!(target_arch = "riscv64") {
            return;
        }
        filter(RENAME, None, Errno::INVAL);
        const LINKED: &[&str] = &["openat", "flock", "bind", "listen", "linkat", "unlinkat"];
        let replacing = Case { start: replace, retry: replace, ..PLAIN };
        for case in [
            Case { start: publish_ready, calls: LINKED, ..PLAIN },
            Case { name: LONGEST, calls: LINKED, ..PLAIN },
            Case { before: Before::Stale, start: reclaim, calls: &["bind", "unlinkat"], ..PLAIN },
            Case {
                kind: Kind::Seqpacket,
                before: Before::Stale,
                start: reclaim_published_ready,
                retry: reclaim_published_ready,
                calls: LINKED,
                ..PLAIN
            },
            Case {
                kind: Kind::Datagram,
                start: widened,
                retry: reclaim_widened,
                calls: &["bind", "fchmodat", "linkat", "unlinkat"],
                ..PLAIN
            },
            Case { before: Before::Live, calls: &["bind", "renameat"], ..replacing },
            Case { calls: LINKED, ..replacing },
            Case { removes: true, calls: &["unlinkat"], ..PLAIN },
        ] {
            is_well_wherever_it_is_killed(&case);
        }
    });
}

/// The socket lives on in another process: this one, in which it was made.
#[test]
fn removal_of_a_file_whose_socket_lives_on() {
    passes_with_stops("killed::removal_of_a_file_whose_socket_lives_on", || {
        let (mut given_back, mut removed) = (0, 0);
        for stops in 0.. {
            let world = World::new(&Case { before: Before::Live, ..PLAIN });
            let old = world.old.as_ref().unwrap();
            let file = old.file.as_ref().unwrap();
            let removed_by = |was: Result<bool, _>| u8::from(was.is_err());
            let mut stepped = Stepped::start(|| (), |()| file.remove(), removed_by);
            if stepped.step_over(stops).is_none() {
                break;
            }
            stepped.kill();
            match reclaim(&world.path, Kind::Stream) {
                Ok(server) => {
                    removed += 1;
                    assert_eq!(world.check_after_retry(server), Ok(()), "after {stops}");
                    assert!(old.answer(0, Duration::ZERO).eq(&false), "after {stops}");
                }
                Err(refusal) => {
                    given_back += 1;
                    assert_eq!(refusal, Refusal::InUse, "after {stops}");
                    assert_eq!(file.is_in_place(), Ok(true), "after {stops}");
                    assert_eq!(world.check_files(&[PLAIN.name]), Ok(()), "after {stops}");
                    assert_eq!(reaches(&world.path, old), Ok(()), "after {stops}");
                }
            }
        }
        // Before the file is moved aside, and after that.
        assert!(given_back >= 6 && removed >= 2, "{given_back} and {removed}");
    });
}

/// What is left over is seen, and nothing else is amiss.
#[test]
fn start_with_another_temporary_name_each_time_is_seen_to_fail() {
    passes_with_stops(
        "killed::start_with_another_temporary_name_each_time_is_seen_to_fail",
        || {
            let (start, retry) =
                (naive::temporary_and_rename as _, naive::temporary_and_rename as _);
            let kills = kill_at_each_stop(&Case { before: Before::Live, start, retry, ..PLAIN });
            // After `bind`, and after `listen`.
            assert!(kills.wrong.len() >= 2, "{:#?}", kills.wrong);
            for wrong in &kills.wrong {
                assert!(wrong.contains("there are") && wrong.contains(".tmp"), "{wrong}");
            }
        },
    );
}

/// A start that takes the name away first is seen to lose it.
#[test]
fn start_that_unlinks_first_is_seen_to_fail() {
    passes_with_stops("killed::start_that_unlinks_first_is_seen_to_fail", || {
        let (start, retry) = (naive::unlink_bind as _, naive::unlink_bind as _);
        let kills = kill_at_each_stop(&Case { before: Before::Live, start, retry, ..PLAIN });
        let lost = kills.wrong.iter().filter(|wrong| wrong.contains("is gone")).count();
        assert!(lost >= 2, "{:#?}", kills.wrong);
    });
}
