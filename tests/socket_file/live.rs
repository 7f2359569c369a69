//! Names that sockets have, in each state that one can be in: the living notice nothing but that they were
//! replaced, and the dead are taken for dead.

use std::fs;

use afunix::{Errno, OwnedFd, SocketFile, SocketFileError, Step, UnixDatagram, UnixStream};
use rustix::io::ioctl_fionbio;
use rustix::net::{self, AddressFamily, SendFlags, Shutdown, SocketFlags, SocketType};

use crate::common::kinds::Data;
use crate::common::{Nobody, TempDir, addr, close, is_root, passes_in_child, skip};
use crate::kit::{
    Files, PLAIN, RECLAIMING, REPLACING, arrives, by_kernel, bytes, message, names, next,
    nothing_came, states,
};

for_data!(
    live_socket_is_in_use_and_notices_nothing
    live_socket_is_replaced_and_lives_on
    hard_link_of_a_live_socket_is_in_use_and_is_replaced_alone
    stale_socket_is_reclaimed_or_replaced_and_else_in_use
    socket_that_one_may_not_write_to_is_in_use_and_stays
);

/// What a server is doing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Doing {
    Nothing,
    Serving,
    Full,
    Elsewhere,
    Itself,
    Shut,
}

const STATES: [(SocketType, Doing); 13] = [
    (SocketType::STREAM, Doing::Nothing),
    (SocketType::STREAM, Doing::Serving),
    (SocketType::STREAM, Doing::Full),
    (SocketType::STREAM, Doing::Shut),
    (SocketType::SEQPACKET, Doing::Nothing),
    (SocketType::SEQPACKET, Doing::Serving),
    (SocketType::SEQPACKET, Doing::Full),
    (SocketType::SEQPACKET, Doing::Shut),
    (SocketType::DGRAM, Doing::Serving),
    (SocketType::DGRAM, Doing::Elsewhere),
    (SocketType::DGRAM, Doing::Itself),
    (SocketType::DGRAM, Doing::Full),
    (SocketType::DGRAM, Doing::Shut),
];

/// Somebody's server at a path, made without any of what is tested.
struct Live {
    kind: SocketType,
    doing: Doing,
    server: OwnedFd,
    /// Who is connected to it, and what it has of that connection.
    client: Option<OwnedFd>,
    accepted: Option<OwnedFd>,
    /// How much waits in its queue.
    queued: usize,
}

fn socket(kind: SocketType) -> OwnedFd {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    net::socket_with(AddressFamily::UNIX, kind, flags, None).unwrap()
}

fn send(socket: &OwnedFd, text: &[u8]) -> Result<usize, Errno> {
    net::send(socket, text, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)
}

impl Live {
    fn new(folder: &TempDir, (kind, doing): (SocketType, Doing)) -> Self {
        let (server, at) = (socket(kind), folder.addr("name"));
        net::bind(&server, &at).unwrap();
        let mut live = Self { kind, doing, server, client: None, accepted: None, queued: 0 };
        if doing == Doing::Nothing {
            return live;
        }
        let client = socket(kind);
        if kind != SocketType::DGRAM {
            net::listen(&live.server, if doing == Doing::Full { 0 } else { 8 }).unwrap();
        }
        net::connect(&client, &at).unwrap();
        if kind != SocketType::DGRAM {
            live.accepted = Some(net::accept(&live.server).unwrap());
        }
        match doing {
            Doing::Full if kind == SocketType::DGRAM => {
                while send(&client, b"queued").is_ok() {
                    live.queued += 1;
                }
                assert!(live.queued >= 1);
            }
            Doing::Full => {
                let pending = socket(kind);
                net::connect(&pending, &at).unwrap();
                assert_eq!(net::connect(socket(kind), &at), Err(Errno::AGAIN));
                live.queued = 1;
            }
            Doing::Elsewhere => {
                let back = crate::common::name("elsewhere");
                net::bind(&client, &back).unwrap();
                net::connect(&live.server, &back).unwrap();
                assert_eq!(net::connect(socket(kind), &at), Err(Errno::PERM));
            }
            Doing::Itself => net::connect(&live.server, &at).unwrap(),
            Doing::Shut => net::shutdown(&live.server, Shutdown::Both).unwrap(),
            Doing::Nothing | Doing::Serving => {}
        }
        live.client = Some(client);
        live
    }

    /// Its queue has what it had, and its connections still work.
    #[track_caller]
    fn is_undisturbed(&self) {
        let what = (self.kind, self.doing);
        if self.kind == SocketType::DGRAM {
            for _ in 0..self.queued {
                assert_eq!(message(&self.server).as_deref(), Ok(&b"queued"[..]), "{what:?}");
            }
            assert_eq!(message(&self.server), Err(Errno::AGAIN), "{what:?}");
        } else if self.doing == Doing::Nothing {
            assert_eq!(next(&self.server).map(drop), Err(Errno::INVAL), "{what:?}");
            // It can still become a server, and there is nobody yet.
            net::listen(&self.server, 8).unwrap();
            assert_eq!(next(&self.server).map(drop), Err(Errno::AGAIN), "{what:?}");
        } else {
            for _ in 0..self.queued {
                assert!(next(&self.server).is_ok(), "{what:?}");
            }
            assert_eq!(next(&self.server).map(drop), Err(Errno::AGAIN), "{what:?}");
        }
        let Some(client) = &self.client else { return };
        let (from, to) = match (self.doing, &self.accepted) {
            (Doing::Itself, _) => (&self.server, &self.server),
            (_, Some(accepted)) => (client, accepted),
            _ => (client, &self.server),
        };
        if self.doing == Doing::Shut && self.kind == SocketType::DGRAM {
            assert_eq!(send(from, b"hello"), Err(Errno::PIPE));
            return;
        }
        assert_eq!(send(from, b"hello"), Ok(5), "{what:?}");
        assert_eq!(message(to).as_deref(), Ok(&b"hello"[..]), "{what:?}");
    }
}

fn live_socket_is_in_use_and_notices_nothing<T: Files>(_: &str) {
    for state in STATES {
        let folder = TempDir::new();
        let (live, path) = (Live::new(&folder, state), folder.join("name"));
        let before = states(folder.path());
        for (way, set) in PLAIN.into_iter().chain(RECLAIMING) {
            let made = T::make(set(SocketFile::options(bytes(&path)).mode(0o600)));
            assert_eq!(made.map(drop), Err(SocketFileError::InUse), "{way}, {state:?}");
            assert_eq!(states(folder.path()), before, "{way}, {state:?}");
        }
        live.is_undisturbed();
    }
}

fn live_socket_is_replaced_and_lives_on<T: Files>(_: &str) {
    for state in STATES {
        for (way, set) in REPLACING {
            let folder = TempDir::new();
            let (live, path) = (Live::new(&folder, state), folder.join("name"));
            let old = states(folder.path())[0].numbers[0];
            let (server, file) = T::make(set(SocketFile::options(bytes(&path)))).unwrap();
            // The old socket is open, so that its number is no other's.
            let found = states(folder.path());
            assert_eq!(names(folder.path()), ["name"], "{way}, {state:?}");
            assert_ne!(found[0].numbers[0], old, "{way}, {state:?}");
            assert_eq!(file.is_in_place(), Ok(true));
            let client = T::connect_path(bytes(&path)).unwrap();
            live.is_undisturbed();
            arrives(&client, &server);
        }
    }
}

fn hard_link_of_a_live_socket_is_in_use_and_is_replaced_alone<T: Files>(_: &str) {
    let folder = TempDir::new();
    let first = T::serve(&folder.addr("first")).unwrap();
    let (link, before) = (folder.join("link"), states(folder.path())[0].numbers[0]);
    fs::hard_link(folder.join("first"), &link).unwrap();
    let linked = states(folder.path());
    for (way, set) in PLAIN.into_iter().chain(RECLAIMING) {
        let made = T::make(set(SocketFile::options(bytes(&link))));
        assert_eq!(made.map(drop), Err(SocketFileError::InUse), "{way}");
        assert_eq!(states(folder.path()), linked, "{way}");
    }
    let (second, file) = T::make(SocketFile::options(bytes(&link)).replace()).unwrap();
    let [a, b] = &states(folder.path())[..] else { panic!("two files") };
    assert_eq!((a.numbers[0], a.numbers[2]), (before, 1));
    assert_ne!(b.numbers[0], before);
    nothing_came::<T>(&first);
    arrives(&T::connect_path(bytes(&folder.join("first"))).unwrap(), &first);
    arrives(&T::connect_path(bytes(&link)).unwrap(), &second);

    // One's own second name is not one's name, and stays.
    fs::hard_link(&link, folder.join("another")).unwrap();
    assert_eq!(file.remove(), Ok(true));
    assert_eq!(names(folder.path()), ["another", "first"]);
    arrives(&T::connect_path(bytes(&folder.join("another"))).unwrap(), &second);
}

fn stale_socket_is_reclaimed_or_replaced_and_else_in_use<T: Files>(_: &str) {
    for kind in [SocketType::STREAM, SocketType::SEQPACKET, SocketType::DGRAM] {
        let folder = TempDir::new();
        let path = folder.join("name");
        let old = socket(kind);
        net::bind(&old, &folder.addr("name")).unwrap();
        close(old);
        let before = states(folder.path());
        for (way, set) in PLAIN {
            let made = T::make(set(SocketFile::options(bytes(&path))));
            assert_eq!(made.map(drop), Err(SocketFileError::InUse), "{way}, {kind:?}");
            assert_eq!(states(folder.path()), before, "{way}, {kind:?}");
        }
        for (way, set) in RECLAIMING.into_iter().chain(REPLACING) {
            let options = set(SocketFile::options(bytes(&path)).mode(0o640));
            let (server, file) = T::make(options).unwrap();
            assert_eq!(names(folder.path()), ["name"], "{way}, {kind:?}");
            assert_eq!(states(folder.path())[0].numbers[1] & 0o7777, 0o640, "{way}, {kind:?}");
            assert_eq!(file.is_in_place(), Ok(true));
            arrives(&T::connect_path(bytes(&path)).unwrap(), &server);
            // For the next one it is as stale as the first.
            close((server, file));
            assert_eq!(
                T::connect_path(bytes(&path)).map(drop).unwrap_err().errno(),
                Errno::CONNREFUSED
            );
        }
    }
}

fn socket_that_one_may_not_write_to_is_in_use_and_stays<T: Files>(test: &str) {
    passes_in_child(test, || {
        if !is_root() {
            return skip("only root may become somebody else");
        }
        for mode in [0o1777, 0o777] {
            let folder = TempDir::new();
            chmod(folder.path(), mode);
            for state in STATES {
                let live = Live::new(&folder, state);
                refuses_nobody::<T>(&folder, mode);
                live.is_undisturbed();
                fs::remove_file(folder.join("name")).unwrap();
            }
            // Whether somebody has one cannot be told, so that somebody has.
            close(T::serve(&folder.addr("name")).unwrap());
            refuses_nobody::<T>(&folder, mode);
            // Control: with permission it can.
            chmod(folder.join("name"), 0o602);
            let _nobody = Nobody::new();
            let path = folder.join("name");
            let options = SocketFile::options(bytes(&path)).reclaim().any_directory();
            match (mode, T::make(options)) {
                (0o777, made) => assert!(made.is_ok()),
                // But not in a folder from which nobody takes another's files.
                (_, made) => assert_eq!(by_kernel(made), (Step::Remove, Errno::PERM)),
            }
            assert_eq!(names(folder.path()), ["name"]);
        }
    });
}

fn chmod(path: impl AsRef<std::path::Path>, mode: u32) {
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
}

/// What nobody may not write to is in the way, and nothing is changed by that.
#[track_caller]
fn refuses_nobody<T: Files>(folder: &TempDir, mode: u32) {
    let path = folder.join("name");
    chmod(&path, 0o755);
    let before = states(folder.path());
    let _nobody = Nobody::new();
    for (way, set) in PLAIN.into_iter().chain(RECLAIMING) {
        let made = T::make(set(SocketFile::options(bytes(&path)).any_directory()));
        assert_eq!(made.map(drop), Err(SocketFileError::InUse), "{way}");
        assert_eq!(states(folder.path()), before, "{way}");
    }
    if mode == 0o1777 {
        for (way, set) in REPLACING {
            let made = T::make(set(SocketFile::options(bytes(&path))));
            assert_eq!(by_kernel(made), (Step::Publish, Errno::PERM), "{way}");
            assert_eq!(states(folder.path()), before, "{way}");
        }
    }
}

/// Control: a probe that connects as a client would call the first stale, and disturb the others.
#[test]
fn probe_of_the_servers_own_type_would_go_wrong() {
    let folder = TempDir::new();
    let bound = Live::new(&folder, (SocketType::STREAM, Doing::Nothing));
    let path = addr(folder.join("name"));
    assert_eq!(UnixStream::connect(&path).unwrap_err(), Errno::CONNREFUSED);
    bound.is_undisturbed();
    // By now it listens, and has a connection that nobody wanted.
    drop(UnixStream::connect(&path).unwrap());
    assert!(next(&bound.server).is_ok());

    // The datagram socket is noticed by none.
    let probe = UnixDatagram::unbound().unwrap();
    assert_eq!(probe.connect(&path), Err(Errno::PROTOTYPE));
    assert_eq!(next(&bound.server).map(drop), Err(Errno::AGAIN));
    let _ = ioctl_fionbio(&bound.server, false);
    assert_eq!(<UnixDatagram as Data>::connect_to(&probe, &path), Err(Errno::PROTOTYPE));
}
