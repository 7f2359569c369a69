//! What the caller sets on the socket before it has a name; and how many may wait.

use afunix::{
    Errno, OwnedFd, SocketFile, SocketFileError, Step, UnixDatagram, UnixListener, UnixSeqpacket,
    UnixSeqpacketListener, UnixStream,
};
use rustix::io::{FdFlags, fcntl_getfd};
use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};

use crate::common::kinds::Connects;
use crate::common::passes::Passes;
use crate::common::{TempDir, open_fds, passes_in_child};
use crate::kit::{Files, RECLAIMING, by_kernel, bytes, names, next, states, ways};

for_data!(
    socket_is_prepared_before_it_has_a_name_and_keeps_that
    error_of_the_preparation_is_told_and_nothing_was_made
    what_is_wrong_with_the_path_is_told_after_the_preparation
    socket_that_was_bound_by_the_preparation_is_refused
);
for_connecting!(
    accepted_sockets_have_what_the_listener_was_prepared_with
    backlog_of_n_admits_n_and_one_more
);

fn socket_is_prepared_before_it_has_a_name_and_keeps_that<T: Files + Passes>(_: &str) {
    let folder = TempDir::new();
    let path = folder.join("name");
    for (way, set) in ways() {
        let mut seen = 0;
        let (server, file) = T::make_with(set(SocketFile::options(bytes(&path))), |socket| {
            seen += 1;
            assert!(socket.local_addr()?.is_unnamed(), "{way}");
            assert_eq!(states(folder.path()), [], "{way}");
            sockopt::set_socket_send_buffer_size(socket, 30_000)?;
            socket.set_passcred(true)
        })
        .unwrap();
        assert_eq!(seen, 1, "{way}");
        assert_eq!(sockopt::socket_passcred(&server), Ok(true), "{way}");
        // The kernel counts its own part, too: see "The send buffer is twice what was asked for".
        assert_eq!(sockopt::socket_send_buffer_size(&server), Ok(60_000), "{way}");
        assert_eq!(file.remove(), Ok(true));
    }
}

fn error_of_the_preparation_is_told_and_nothing_was_made<T: Files>(test: &str) {
    passes_in_child(test, || {
        let folder = TempDir::new();
        let path = folder.join("name");
        let before = open_fds();
        for (way, set) in ways() {
            for errno in [Errno::PERM, Errno::NOPROTOOPT, Errno::ADDRINUSE, Errno::NOENT] {
                let made = T::make_with(set(SocketFile::options(bytes(&path))), |_| Err(errno));
                assert_eq!(by_kernel(made), (Step::Prepare, errno), "{way}");
                assert_eq!(states(folder.path()), [], "{way}");
            }
        }
        assert_eq!(open_fds(), before);
        // It is an error like those of the kernel, with its step.
        let made = T::make_with(SocketFile::options(bytes(&path)), |_| Err(Errno::PERM));
        let error = made.map(drop).unwrap_err();
        assert!(error.to_string().starts_with("cannot prepare the socket: "), "{error}");
        assert_eq!(error.errno(), Errno::PERM);
    });
}

fn what_is_wrong_with_the_path_is_told_after_the_preparation<T: Files>(_: &str) {
    let mut prepared = false;
    let made = T::make_with(SocketFile::options(b"/nonexistent/name"), |_| {
        prepared = true;
        Ok(())
    });
    assert_eq!(by_kernel(made), (Step::Directory, Errno::NOENT));
    assert!(prepared);
    let made = T::make_with(SocketFile::options(b""), |_| Err(Errno::PERM));
    assert_eq!(by_kernel(made), (Step::Prepare, Errno::PERM));
}

/// A name is what the preparation may not give: what it made is its own to remove.
fn socket_that_was_bound_by_the_preparation_is_refused<T: Files>(_: &str) {
    let folder = TempDir::new();
    let path = folder.join("name");
    for (way, set) in ways() {
        let made = T::make_with(set(SocketFile::options(bytes(&path))), |socket| {
            socket.bind_to(&folder.addr("other"))
        });
        assert_eq!(by_kernel(made), (Step::Bind, Errno::INVAL), "{way}");
        assert_eq!(names(folder.path()), ["other"], "{way}");
        std::fs::remove_file(folder.join("other")).unwrap();
    }
}

fn accepted_sockets_have_what_the_listener_was_prepared_with<T: Files + Passes>(_: &str) {
    let folder = TempDir::new();
    let path = folder.join("name");
    for (way, set) in ways() {
        let options = set(SocketFile::options(bytes(&path)));
        let (server, file) = T::make_with(options, |socket| socket.set_passcred(true)).unwrap();
        let _client = T::connect_path(bytes(&path)).unwrap();
        let accepted = next(&server).unwrap();
        assert_eq!(sockopt::socket_passcred(&accepted), Ok(true), "{way}");
        assert_eq!(file.remove(), Ok(true));
        // Control: without it they have not.
        let (server, file) = T::make(options).unwrap();
        let _client = T::connect_path(bytes(&path)).unwrap();
        let accepted = next(&server).unwrap();
        assert_eq!(sockopt::socket_passcred(&accepted), Ok(false), "{way}");
        assert_eq!(file.remove(), Ok(true));
    }
}

/// See "A backlog of n admits n + 1" in `kernel.md`.
fn backlog_of_n_admits_n_and_one_more<T: Files + Connects>(_: &str) {
    let folder = TempDir::new();
    let path = folder.join("name");
    let kind = SocketType::from_raw(u32::try_from(T::TYPE).unwrap());
    let connect = || {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let client = net::socket_with(AddressFamily::UNIX, kind, flags, None).unwrap();
        net::connect(&client, &folder.addr("name")).map(|()| client)
    };
    for (way, set) in ways() {
        for backlog in [0, 1, 5] {
            let options = set(SocketFile::options(bytes(&path))).backlog(backlog);
            let (server, file) = T::make(options).unwrap();
            let pending: Vec<OwnedFd> = (0..=backlog).map(|_| connect().unwrap()).collect();
            assert_eq!(connect().map(drop), Err(Errno::AGAIN), "{way}, {backlog}");
            // A full one is alive, and is not disturbed by the question.
            let again = T::make(RECLAIMING[0].1(SocketFile::options(bytes(&path))));
            assert_eq!(again.map(drop), Err(SocketFileError::InUse));
            pending.iter().for_each(|_| drop(next(&server).unwrap()));
            assert_eq!(next(&server).map(drop), Err(Errno::AGAIN), "{way}, {backlog}");
            assert_eq!(file.remove(), Ok(true));
        }
        // As many as the system allows.
        let (server, file) = T::make(set(SocketFile::options(bytes(&path)))).unwrap();
        let pending: Vec<OwnedFd> = (0..64).map(|_| connect().unwrap()).collect();
        assert_eq!(pending.iter().filter(|_| next(&server).is_ok()).count(), 64, "{way}");
        assert_eq!(file.remove(), Ok(true));
    }
}

/// The types that each of the six methods gives.
#[test]
fn each_method_gives_its_own_type() {
    let folder = TempDir::new();
    let path = folder.join("name");
    let options = SocketFile::options(bytes(&path)).remove_on_drop();
    let made: (UnixListener, SocketFile) = options.listener().unwrap();
    drop(made);
    let made: (UnixSeqpacketListener, SocketFile) = options.seqpacket_listener().unwrap();
    drop(made);
    let made: (UnixDatagram, SocketFile) = options.datagram().unwrap();
    drop(made);
    let set = |socket: &UnixStream| socket.set_passcred(true);
    let (stream, file) = options.listener_with(set).unwrap();
    assert_eq!(fcntl_getfd(&stream), Ok(FdFlags::CLOEXEC));
    drop(file);
    let set = |socket: &UnixSeqpacket| socket.set_passcred(true);
    let (seqpacket, file) = options.seqpacket_listener_with(set).unwrap();
    assert_eq!(fcntl_getfd(&seqpacket), Ok(FdFlags::CLOEXEC));
    drop(file);
    let set = |socket: &UnixDatagram| socket.set_passcred(true);
    let (datagram, file) = options.datagram_with(set).unwrap();
    assert_eq!(fcntl_getfd(&datagram), Ok(FdFlags::CLOEXEC));
    drop(file);
    assert_eq!(states(folder.path()), []);
}
