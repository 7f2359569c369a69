//! A server that is slow to remove its file, while its successor starts.

use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use afunix::SocketFile;

use crate::common::{TempDir, passes_in_child};
use crate::naive;
use crate::process::{End, PATIENCE, Process};
use crate::server::{KINDS, Kind, Refusal, Server, names, reaches};
use crate::stepper::{Stop, Traced, between_marks, is_there_ptrace};

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

/// Stops the remover at the `steps`th stop and has the successor start there, and again once the remover is
/// done if it is locked out until then. The answer is what went wrong, or `None` if the remover has
/// no so many stops.
fn slow(
    remove: Remove,
    successor: Successor,
    kind: Kind,
    steps: u32,
) -> Option<Result<(), String>> {
    const NAME: &str = "control";
    let folder = TempDir::new();
    let path = folder.join(NAME).as_os_str().as_bytes().to_vec();
    let mut remover = Traced::start(|| {
        let mut server = Server::make(SocketFile::options(&path), kind).unwrap();
        let own = naive::inode(&path).unwrap();
        if successor == Successor::Reclaims {
            server.socket = crate::common::raw::socket(kind.number());
        }
        between_marks(|| remove(&server, &path, own));
        0
    });
    for _ in 0..steps {
        if remover.step() == Stop::Done {
            return None;
        }
    }
    let first = successor.start(&path, kind, Duration::ZERO);
    assert_eq!(remover.finish().wait(), End::Code(0));
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
    (0..).map_while(|steps| slow(remove, successor, kind, steps)).collect()
}

#[test]
fn successor_has_its_file_however_slow_the_remover_is() {
    passes_in_child("remover::successor_has_its_file_however_slow_the_remover_is", || {
        if !is_there_ptrace() {
            return;
        }
        for kind in KINDS {
            for successor in [Successor::Replaces, Successor::Reclaims, Successor::Foreign] {
                let all = at_each_stop(remove, successor, kind);
                // Lock, look, rename, look, unlink, unlock; each is entered and left.
                assert!(all.len() > 12, "only {} stops", all.len());
                for (steps, outcome) in all.iter().enumerate() {
                    assert_eq!(outcome, &Ok(()), "{successor:?} {kind:?} after {steps} stops");
                }
            }
        }
    });
}

#[test]
fn remover_that_looks_and_unlinks_is_seen_to_fail() {
    passes_in_child("remover::remover_that_looks_and_unlinks_is_seen_to_fail", || {
        if !is_there_ptrace() {
            return;
        }
        for successor in [Successor::Replaces, Successor::Reclaims, Successor::Foreign] {
            let all = at_each_stop(stat_unlink, successor, Kind::Stream);
            let gone = all.iter().filter(|outcome| outcome.is_err()).count();
            // Between the look and the removal, it is stopped twice.
            assert!(gone >= 2, "{successor:?}: {all:?}");
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
