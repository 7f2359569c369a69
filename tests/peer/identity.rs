//! Whose a connection is. Four users: one binds, others listen, connect and accept.

use std::thread;

use afunix::{Errno, Gid, OwnedFd, PeerError, Uid, UnixAddr, UnixDatagram, UnixListener};

use crate::asks::{Asks, Meets, numbers, own, told};
use crate::common::kinds::{Listens, Socket};
use crate::common::raw;
use crate::common::{Watchdog, is_root, name, passes_in_child, skip};
use crate::plain::fork;
use crate::processes::{Child, as_user, become_others, seen_as};

for_connecting!(
    server_is_who_listened_last_and_client_who_connected
    server_that_drops_its_rights_after_listening_is_who_it_was
    listener_tells_who_listened
    accepted_with_its_peer_is_as_accepted_and_asked
    client_that_is_gone_before_it_is_accepted_is_known
);
for_data!(
    pair_is_of_who_made_it_at_both_ends
    nothing_changes_it_afterwards
    effective_ids_are_told_of_a_connection
    thread_is_told_as_its_process
    functions_say_what_methods_say
);

/// Asks in all the ways, which must agree with the kernel and with each other.
#[track_caller]
fn is_known<T: Asks>(socket: &T, expected: [u32; 3]) {
    assert_eq!(told(socket), expected);
    assert_eq!(numbers(socket.peer_credentials().unwrap()), expected);
    assert_eq!(numbers(afunix::peer_credentials(socket).unwrap()), expected);
    assert_eq!(numbers(socket.peer().unwrap().credentials), expected);
}

/// See "A server is who listened, a client who connected" in `kernel.md`.
fn server_is_who_listened_last_and_client_who_connected<T: Meets>(test: &str) {
    passes_in_child(test, || {
        if !is_root() {
            return skip("only root may be several users");
        }
        let server = name("server");
        let socket = T::unbound().unwrap();
        as_user(2000, || socket.bind_to(&server).unwrap());
        let first = as_user(3000, || raw::listen(&socket));
        let listener = T::Listener::from_fd_unchecked(socket.into());
        let (one, two) = (T::unbound().unwrap(), T::unbound().unwrap());
        let client = as_user(5000, || one.connect_to(&server).unwrap());
        is_known(&one, seen_as(first, 3000));
        // Whoever accepts, it is nobody that either side is told of.
        as_user(4000, || {
            let (connection, from, peer) = T::accept_peer(&listener).unwrap();
            assert_eq!((numbers(peer), from), (seen_as(client, 5000), UnixAddr::UNNAMED));
            is_known(&connection, seen_as(client, 5000));
        });
        is_known(&one, seen_as(first, 3000));

        // The process that listens again is the server of those who come then.
        let second = as_user(6000, || listener.listen(5).unwrap());
        let client = as_user(7000, || two.connect_to(&server).unwrap());
        is_known(&two, seen_as(second, 6000));
        is_known(&one, seen_as(first, 3000));
        let (connection, peer) = T::accept_peer_into(&listener, &mut name("old")).unwrap();
        assert_eq!(numbers(peer), seen_as(client, 7000));
        is_known(&connection, seen_as(client, 7000));
    });
}

/// See "A server is who listened, a client who connected" in `kernel.md`: a service that listens as root
/// is root to its clients.
fn server_that_drops_its_rights_after_listening_is_who_it_was<T: Meets>(test: &str) {
    passes_in_child(test, || {
        if !is_root() {
            return skip("only root has rights to drop");
        }
        let server = name("server");
        let listener = T::Listener::bind(&server).unwrap();
        let pid = std::process::id();
        become_others([1000; 3], [1000; 3]);
        let client = T::connect(&server).unwrap();
        is_known(&client, [pid, 0, 0]);
        client.peer_credentials().unwrap().require_root().unwrap();
        assert!(client.peer_credentials().unwrap().require_same_user().is_err());
        // Who connects after that is who it is by then.
        let (connection, _, peer) = T::accept_peer(&listener).unwrap();
        assert_eq!(numbers(peer), [pid, 1000, 1000]);
        peer.require_same_user().unwrap();
        is_known(&connection, [pid, 1000, 1000]);
        // Until it listens again.
        listener.listen(5).unwrap();
        is_known(&client, [pid, 0, 0]);
        is_known(&T::connect(&server).unwrap(), [pid, 1000, 1000]);
    });
}

/// See "A server is who listened, a client who connected" in `kernel.md`.
fn listener_tells_who_listened<T: Meets>(test: &str) {
    passes_in_child(test, || {
        let listener = T::Listener::fresh();
        let asked = || numbers(afunix::peer_credentials(&listener).unwrap());
        assert_eq!((asked(), told(&listener)), (own(), own()));
        assert_eq!(numbers(afunix::peer(&listener).unwrap().credentials), own());
        let pid = fork(|| listener.listen(3).unwrap());
        let [_, uid, gid] = own();
        assert_eq!((asked(), told(&listener)), ([pid, uid, gid], [pid, uid, gid]));
    });
}

fn accepted_with_its_peer_is_as_accepted_and_asked<T: Meets>(_: &str) {
    let (server, from) = (name("server"), name("from"));
    let listener = T::Listener::bind(&server).unwrap();
    listener.set_nonblocking(true).unwrap();
    let mut came = name("before");
    let before = came;
    // What `accept` fails with leaves the address alone.
    let nothing = PeerError::Accept(Errno::AGAIN);
    assert_eq!(T::accept_peer(&listener).map(drop), Err(nothing));
    assert_eq!(T::accept_peer_into(&listener, &mut came).map(drop), Err(nothing));
    assert_eq!(came, before);

    let clients = [(); 2].map(|()| T::connect_from_to(&from, &server));
    let [Ok(client), Err(Errno::ADDRINUSE)] = clients else { panic!("{clients:?}") };
    let (connection, addr, peer) = T::accept_peer(&listener).unwrap();
    assert_eq!((addr, numbers(peer)), (from, own()));
    client.put(b"x").unwrap();
    assert_eq!(connection.get(&mut [0; 2]), Ok(1));
    let flags = crate::common::identity(&connection).2;
    assert_eq!(flags, libc::FD_CLOEXEC);

    let from = name("from");
    let client = T::connect_from_to(&from, &server).unwrap();
    let (connection, peer) = T::accept_peer_into(&listener, &mut came).unwrap();
    assert_eq!((came, numbers(peer)), (from, own()));
    client.put(b"x").unwrap();
    assert_eq!(connection.get(&mut [0; 2]), Ok(1));

    // One that was shut down is told as `accept` tells it.
    listener.set_nonblocking(false).unwrap();
    listener.shutdown(afunix::Shutdown::Both).unwrap();
    let refused = PeerError::Accept(Errno::INVAL);
    assert_eq!(T::accept_peer(&listener).map(drop), Err(refused));
}

/// See "What was known of a peer stays" in `kernel.md`.
fn client_that_is_gone_before_it_is_accepted_is_known<T: Meets>(test: &str) {
    passes_in_child(test, || {
        let server = name("server");
        let listener = T::Listener::bind(&server).unwrap();
        let [_, uid, gid] = own();
        let client = fork(|| {
            T::connect(&server).unwrap().put(b"last words").unwrap();
        });
        let (connection, _, peer) = T::accept_peer(&listener).unwrap();
        assert_eq!(numbers(peer), [client, uid, gid]);
        peer.require_same_user().unwrap();
        is_known(&connection, [client, uid, gid]);
        // What it said is there to be read, and its end.
        assert_eq!(connection.get(&mut [0; 16]), Ok(10));
        assert_eq!(connection.get(&mut [0; 16]), Ok(0));
        is_known(&connection, [client, uid, gid]);
    });
}

/// See "A server is who listened, a client who connected" in `kernel.md`.
fn pair_is_of_who_made_it_at_both_ends<T: Asks>(test: &str) {
    passes_in_child(test, || {
        let (a, b) = T::pair().unwrap();
        let creator = own();
        is_known(&a, creator);
        is_known(&b, creator);
        fork(|| {
            assert_ne!(std::process::id(), creator[0]);
            is_known(&a, creator);
            is_known(&b, creator);
            let refused = afunix::Pid::from_raw(std::process::id().cast_signed()).unwrap();
            assert!(a.peer_credentials().unwrap().require_process(refused).is_err());
        });
    });
}

/// See "What was known of a peer stays" in `kernel.md`.
fn nothing_changes_it_afterwards<T: Asks>(test: &str) {
    passes_in_child(test, || {
        let (a, b) = T::pair().unwrap();
        let creator = own();
        if is_root() {
            become_others([1000; 3], [1000; 3]);
        }
        is_known(&a, creator);
        drop(b);
        is_known(&a, creator);
        a.shutdown(afunix::Shutdown::Both).unwrap();
        is_known(&a, creator);
        // Read by another process, and by way of a duplicate.
        let fd = rustix::io::fcntl_dupfd_cloexec(&a, 0).unwrap();
        fork(|| assert_eq!(numbers(afunix::peer_credentials(&fd).unwrap()), creator));
    });
}

/// See "What was known of a peer stays" in `kernel.md`: the number of a process that is gone, which may
/// be another's by now.
#[test]
fn number_of_a_process_that_is_gone_is_still_told() {
    let _watchdog = Watchdog::new();
    passes_in_child("identity::number_of_a_process_that_is_gone_is_still_told", || {
        let server = name("server");
        let listener = UnixListener::bind(&server).unwrap();
        let child = Child::start(|| {
            std::mem::forget(afunix::UnixStream::connect(&server).unwrap());
        });
        let (connection, _, peer) = listener.accept_peer().unwrap();
        let pid = child.pid();
        let [_, uid, gid] = own();
        assert_eq!(numbers(peer), [pid, uid, gid]);
        child.end();
        is_known(&connection, [pid, uid, gid]);
        child.reap();
        is_known(&connection, [pid, uid, gid]);
        // It takes the descriptor to know.
        // SAFETY: numbers alone.
        let there = unsafe { libc::kill(pid.cast_signed(), 0) };
        assert_eq!((there, crate::plain::last_errno()), (-1, Errno::SRCH));
        let wanted = afunix::Pid::from_raw(pid.cast_signed()).unwrap();
        assert!(peer.require_process(wanted).is_ok());
    });
}

/// See "Real ids with messages, effective ids with connections" in `kernel.md`.
fn effective_ids_are_told_of_a_connection<T: Asks>(test: &str) {
    passes_in_child(test, || {
        if !is_root() {
            return skip("only root may have different ids");
        }
        become_others([1000, 1001, 1002], [2000, 2001, 2002]);
        let (a, _b) = T::pair().unwrap();
        is_known(&a, [std::process::id(), 1001, 2001]);
        let peer = a.peer_credentials().unwrap();
        let said = format!("pid {}, euid 1001, egid 2001", std::process::id());
        assert_eq!(peer.to_string(), said);
        peer.require_same_user().unwrap();
        peer.require_user(Uid::from_raw(1001)).unwrap();
        peer.require_group(Gid::from_raw(2001), &[]).unwrap();
        for other in [1000, 1002, 2001, 0] {
            assert!(peer.require_user(Uid::from_raw(other)).is_err());
        }
        for other in [2000, 2002, 1001, 0] {
            assert!(peer.require_group(Gid::from_raw(other), &[]).is_err());
        }
    });
}

fn thread_is_told_as_its_process<T: Asks + 'static>(_: &str) {
    let (a, _b) = thread::spawn(|| T::pair().unwrap()).join().unwrap();
    is_known(&a, own());
}

/// They take any descriptor, such as those of std's sockets.
fn functions_say_what_methods_say<T: Asks>(_: &str) {
    let (a, _b) = T::pair().unwrap();
    let peer = a.peer_credentials().unwrap();
    let groups = a.peer_groups(&mut [Gid::ROOT; 1024]).unwrap().to_vec();
    let context = a.peer_security_context(&mut [0; 512]).map(<[u8]>::to_vec);
    let fd: OwnedFd = a.into();
    assert_eq!(afunix::peer_credentials(&fd), Ok(peer));
    assert_eq!(afunix::peer(&fd).unwrap().credentials, peer);
    assert!(afunix::peer_pidfd(&fd).is_ok());
    assert_eq!(afunix::peer_groups(&fd, &mut [Gid::ROOT; 1024]), Ok(&groups[..]));
    let again = afunix::peer_security_context(&fd, &mut [0; 512]).map(<[u8]>::to_vec);
    assert_eq!(again, context);
}

#[cfg(feature = "std")]
#[test]
fn sockets_of_std_are_asked_by_the_functions() {
    use std::os::fd::AsFd;
    use std::os::unix::net;

    let _watchdog = Watchdog::new();
    let (stream, _other) = net::UnixStream::pair().unwrap();
    let (datagram, _other) = net::UnixDatagram::pair().unwrap();
    let (listener, addr) = UnixListener::autobind().unwrap();
    let _client = afunix::UnixStream::connect(&addr).unwrap();
    let (connection, _) = net::UnixListener::from(listener).accept().unwrap();
    for fd in [stream.as_fd(), datagram.as_fd(), connection.as_fd()] {
        assert_eq!(numbers(afunix::peer_credentials(fd).unwrap()), own());
        assert_eq!(numbers(afunix::peer(fd).unwrap().credentials), own());
        assert!(afunix::peer_groups(fd, &mut [Gid::ROOT; 1024]).is_ok());
    }
}

/// See "What was known of a peer stays" in `kernel.md`: of a datagram socket that was one of a pair it is
/// who made the pair, wherever it has turned to since.
#[test]
fn datagram_socket_of_a_pair_that_turns_to_another_peer_tells_of_the_first() {
    let _watchdog = Watchdog::new();
    let test = "identity::datagram_socket_of_a_pair_that_turns_to_another_peer_tells_of_the_first";
    passes_in_child(test, || {
        let (server, creator) = (name("server"), own());
        let (a, b) = UnixDatagram::pair().unwrap();
        let [_, uid, gid] = creator;
        let other = fork(|| {
            let _other = UnixDatagram::bind(&server).unwrap();
            a.connect(&server).unwrap();
            is_known(&a, creator);
        });
        assert_ne!([other, uid, gid], creator);
        a.disconnect().unwrap();
        assert_eq!(a.peer_addr(), Err(Errno::NOTCONN));
        is_known(&a, creator);
        is_known(&b, creator);
    });
}
