//! A server that is slow to remove its file, while its successor starts.

use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use afunix::SocketFile;

use crate::common::process::{End, Process};
use crate::common::stepper::{Stepped, passes_with_stops};
use crate::common::{TempDir, passes_in_child};
use crate::naive;
use crate::pipe::PATIENCE;
use crate::server::{KINDS, Kind, Refusal, Server, names, reaches};

/// Who comes after.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Successor {
    /// By `replace`; the socket still lives.
    Replaces,
    /// By `reclaim`; the socket is closed before its file is removed.
    Reclaims,
    /// One that makes nothing of locks: removes the file, and binds.
    Foreign,
}

impl Successor {
    fn start(self, path: &[u8], kind: Kind, lock_wait: Duration) -> Result<Server, Refusal> {
        let options = SocketFile::options(path).lock_wait(lock_wait);
        match self {
            Self::Replaces => Server::make(options.replace(), kind),
            Self::Reclaims => Server::make(options.reclaim(), kind),
            Self::Foreign => naive::unlink_bind(path, kind),
        }
    }
}

/// How the predecessor removes its file: that of this server.
type Remove = fn(&Server, &[u8], own: (u64, u64));

fn remove(server: &Server, _path: &[u8], _own: (u64, u64)) {
    server.file.as_ref().unwrap().remove().expect("a directory that can be locked");
}

fn stat_unlink(_server: &Server, path: &[u8], own: (u64, u64)) {
    naive::stat_unlink(path, own);
}

/// Stops the remover after so many stops and has the successor start there, and again once the remover is
/// done if it is locked out until then. The answer is what went wrong, or `None` if the remover has
/// no so many stops.
fn slow(
    remove: Remove,
    successor: Successor,
    kind: Kind,
    stops: usize,
) -> Option<Result<(), String>> {
    const NAME: &str = "control";
    let folder = TempDir::new();
    let path = folder.join(NAME).as_os_str().as_bytes().to_vec();
    let prepare = || {
        let mut server = Server::make(SocketFile::options(&path), kind).unwrap();
        if successor == Successor::Reclaims {
            server.socket = crate::common::raw::socket(kind.number());
        }
        (server, naive::inode(&path).unwrap())
    };
    let removed = |(server, own): (Server, _)| {
        remove(&server, &path, own);
        server
    };
    let mut remover = Stepped::start(prepare, removed, |_| 0);
    remover.step_over(stops)?;
    let first = successor.start(&path, kind, Duration::ZERO);
    assert_eq!(remover.finish(), End::Code(0));
    let server = match first {
        Err(Refusal::Locked) => successor.start(&path, kind, PATIENCE),
        other => other,
    };
    let Ok(server) = server else {
        return Some(Err("the successor has not started".into()));
    };
    if server.file.as_ref().is_some_and(|file| file.is_in_place() != Ok(true)) {
        return Some(Err("the successor's file is gone".into()));
    }
    let left = names(folder.path());
    if left != [NAME] {
        return Some(Err(format!("there are {left:?}")));
    }
    Some(reaches(&path, &server))
}

/// What went wrong at each stop of a remover.
fn at_each_stop(remove: Remove, successor: Successor, kind: Kind) -> Vec<Result<(), String>> {
    (0..).map_while(|stops| slow(remove, successor, kind, stops)).collect()
}

#[test]
fn successor_has_its_file_however_slow_the_remover_is() {
    passes_with_stops("remover::successor_has_its_file_however_slow_the_remover_is", || {
        for kind in KINDS {
            for successor in [Successor::Replaces, Successor::Reclaims, Successor::Foreign] {
                let all = at_each_stop(remove, successor, kind);
                // Before each to lock, look, rename, look, unlink and unlock, and after the last.
                assert!(all.len() > 6, "only {} stops", all.len());
                for (stops, outcome) in all.iter().enumerate() {
                    assert_eq!(outcome, &Ok(()), "{successor:?} {kind:?} after {stops} stops");
                }
            }
        }
    });
}

#[test]
fn remover_that_looks_and_unlinks_is_seen_to_fail() {
    passes_with_stops("remover::remover_that_looks_and_unlinks_is_seen_to_fail", || {
        for successor in [Successor::Replaces, Successor::Reclaims, Successor::Foreign] {
            let all = at_each_stop(stat_unlink, successor, Kind::Stream);
            let gone = all.iter().filter(|outcome| outcome.is_err()).count();
            // Between the look and the removal.
            assert!(gone >= 1, "{successor:?}: {all:?}");
        }
    });
}

/// For [`Process`], whose drop kills: a remover that is left alone removes its file.
#[test]
fn remover_that_is_not_stopped_removes_its_file() {
    passes_in_child("remover::remover_that_is_not_stopped_removes_its_file", || {
        let folder = TempDir::new();
        let path = folder.join("control").as_os_str().as_bytes().to_vec();
        let remover = Process::start(|| {
            let server = Server::make(SocketFile::options(&path), Kind::Stream).unwrap();
            u8::from(server.file.unwrap().remove() == Ok(true))
        });
        assert_eq!(remover.wait(), End::Code(1));
        assert_eq!(names(folder.path()), [""; 0]);
    });
}
