//! Who is told to have sent what.

use std::thread;

use afunix::{AncillaryBuf, Errno, IoSliceMut, RecvOptions, Shutdown, UnixSeqpacket, UnixStream};

use crate::common::emulated::is_set;
use crate::common::kinds::{Connects, Listens, Socket};
use crate::common::{Watchdog, name, passes_in_child};
use crate::methods::{NOTHING, Passes, credentials, get, got, got_of, lend, mine, now};
use crate::plain::{self, CREDENTIALS, fork, last_errno, poll};

for_data!(
    message_from_before_anybody_asked_is_nobody_s
    sender_that_asked_itself_is_told
    pidfd_of_a_sender_that_is_gone
);
for_messages!(empty_message_has_its_sender);
for_connecting!(
    message_from_before_the_connection_was_accepted_has_its_sender
    accepted_socket_has_what_the_listener_had_at_the_connect
);

const NOBODY: u32 = 65534;

/// See "Nobody asked yet" in `kernel.md`.
fn message_from_before_anybody_asked_is_nobody_s<T: Passes>(_: &str) {
    let (a, b) = T::pair().unwrap();
    (0..3).for_each(|_| assert_eq!(a.put(b"x"), Ok(1)));
    b.set_passcred(true).unwrap();
    let pidfds = is_set(b.set_passpidfd(true));
    let got = got(&b, 1, RecvOptions::new()).unwrap();
    assert_eq!(got.credentials, Some(credentials(0, NOBODY, NOBODY)));
    assert_eq!(got.credentials.unwrap().pid, None);
    assert!(!got.has_pidfd() && got.pidfd.is_ok() && got.truncation.is_none());
    let got = got_of(&b, 1, RecvOptions::new()).unwrap();
    assert_eq!(got.credentials, Some(credentials(0, NOBODY, NOBODY)));
    let reply = plain::recv(&b, &mut [0], 200, 0).unwrap();
    assert_eq!(reply.kinds(), [CREDENTIALS]);
    assert_eq!(reply.ucred(), Some(&plain::ucred(0, NOBODY, NOBODY)[..]));
    // From now on they are told.
    a.put(b"x").unwrap();
    let got = get(&b, 1);
    assert_eq!((got.credentials, got.has_pidfd()), (Some(mine()), pidfds));
}

/// See "Nobody asked yet" in `kernel.md`.
fn sender_that_asked_itself_is_told<T: Passes>(_: &str) {
    let ask: [fn(&T) -> _; 2] = [|a| a.set_passcred(true), |a| a.set_passpidfd(true)];
    for ask in ask {
        let (a, b) = T::pair().unwrap();
        if !is_set(ask(&a)) {
            continue;
        }
        a.put(b"x").unwrap();
        b.set_passcred(true).unwrap();
        let pidfds = is_set(b.set_passpidfd(true));
        let got = get(&b, 1);
        assert_eq!((got.credentials, got.has_pidfd()), (Some(mine()), pidfds));
    }
}

/// See "Nobody asked yet" in `kernel.md`.
fn message_from_before_the_connection_was_accepted_has_its_sender<T: Passes + Connects>(_: &str) {
    let server = name("server");
    let listener = T::Listener::bind(&server).unwrap();
    let client = T::connect(&server).unwrap();
    client.put(b"x").unwrap();
    let (connection, _) = listener.accept().unwrap();
    client.put(b"y").unwrap();
    connection.set_passcred(true).unwrap();
    assert_eq!(get(&connection, 1).credentials, Some(mine()));
    assert_eq!(get(&connection, 1).credentials, Some(credentials(0, NOBODY, NOBODY)));
}

/// See "What a listener hands on" in `kernel.md`.
fn accepted_socket_has_what_the_listener_had_at_the_connect<T: Passes + Connects>(_: &str) {
    let listener = T::Listener::bind(&name("server")).unwrap();
    let server = listener.local_addr().unwrap();
    let told = |socket: &T| (afunix::passcred(socket), afunix::passpidfd(socket));
    for (passcred, passpidfd) in [(true, true), (false, true), (true, false), (false, false)] {
        afunix::set_passcred(&listener, passcred).unwrap();
        let passpidfd = is_set(afunix::set_passpidfd(&listener, passpidfd)) && passpidfd;
        let client = T::connect(&server).unwrap();
        assert_eq!(told(&client), (Ok(false), Ok(false)));
        client.put(b"x").unwrap();
        // What it has by now makes no difference.
        afunix::set_passcred(&listener, !passcred).unwrap();
        is_set(afunix::set_passpidfd(&listener, !passpidfd));
        let (connection, _) = listener.accept().unwrap();
        assert_eq!(told(&connection), (Ok(passcred), Ok(passpidfd)));
        let got = get(&connection, 4);
        assert_eq!((got.credentials, got.has_pidfd()), (passcred.then(mine), passpidfd));
    }
}

/// See "A pidfd of who is gone" in `kernel.md`.
fn pidfd_of_a_sender_that_is_gone<T: Passes>(test: &str) {
    passes_in_child(test, || {
        let (a, b) = T::pair().unwrap();
        b.set_passcred(true).unwrap();
        let pidfds = is_set(b.set_passpidfd(true));
        let pid = fork(|| assert_eq!(a.put(b"x"), Ok(1)));
        let got = get(&b, 4);
        assert_eq!(got.credentials.unwrap().pid, credentials(pid, 0, 0).pid);
        if !pidfds {
            return;
        }
        let pidfd = got.pidfd.unwrap().unwrap();
        assert_eq!(poll(&pidfd) & libc::POLLIN, libc::POLLIN);
        assert_eq!(signal(&pidfd), Err(Errno::SRCH));
        // And of one that is there.
        a.put(b"x").unwrap();
        let pidfd = get(&b, 4).pidfd.unwrap().unwrap();
        assert_eq!((poll(&pidfd), signal(&pidfd)), (0, Ok(())));
        let number = afunix::AsRawFd::as_raw_fd(&pidfd);
        let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap();
        let own = format!("Pid:\t{}", std::process::id());
        assert!(info.lines().any(|line| line == own), "{info}");
    });
}

/// Asks whether the process could be sent a signal.
fn signal(pidfd: &impl afunix::AsRawFd) -> Result<(), Errno> {
    let no_info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: numbers alone, and one null pointer that means nothing.
    let done =
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), 0, no_info, 0) };
    if done == 0 { Ok(()) } else { Err(last_errno()) }
}

/// See "The end of a stream names root" in `kernel.md`.
#[test]
fn end_of_a_stream_is_nobody_s() {
    let _watchdog = Watchdog::new();
    let end: [fn(UnixStream, &UnixStream) -> Option<UnixStream>; 3] = [
        |_, _| None,
        |a, _| {
            a.shutdown(Shutdown::Write).unwrap();
            Some(a)
        },
        |a, b| {
            b.shutdown(Shutdown::Read).unwrap();
            Some(a)
        },
    ];
    for end in end {
        let (a, b) = UnixStream::pair().unwrap();
        b.set_passcred(true).unwrap();
        is_set(b.set_passpidfd(true));
        let _a = end(a, &b);
        for flags in [0, libc::MSG_PEEK] {
            let reply = plain::recv(&b, &mut [0; 4], 200, flags).unwrap();
            assert_eq!((reply.bytes, reply.kinds()), (0, vec![CREDENTIALS]));
            assert_eq!(reply.ucred(), Some(&[0; 12][..]));
        }
        for got in [
            got(&b, 4, RecvOptions::new()),
            got_of(&b, 4, RecvOptions::new()),
            got(&b, 4, RecvOptions::new().peek()),
            got_of(&b, 4, RecvOptions::new().lossy()),
        ] {
            let got = got.unwrap();
            assert_eq!((got.received.bytes, got.credentials, got.truncation), (0, None, None));
            assert!(!got.has_pidfd() && got.unknown.is_empty());
        }
        // It has nothing to lose, so there is nothing wrong with no room.
        let (mut data, mut none) = ([0; 4], AncillaryBuf::<0>::new());
        let data = &mut [IoSliceMut::new(&mut data)];
        assert!(b.recv_with(data, &mut none, RecvOptions::new()).is_ok());
        assert!(afunix::recv_with(&b, data, &mut none, RecvOptions::new()).is_ok());
        assert!(b.recv_fds_exact::<0>(&mut [0; 4]).is_ok());
        let (received, fds) = afunix::recv_fds::<1>(&b, &mut [0; 4]).unwrap();
        assert_eq!((received.bytes, fds.len()), (0, 0));
    }
}

/// See "The end of a stream names root" in `kernel.md`.
fn empty_message_has_its_sender<T: Passes>(_: &str) {
    let (a, b) = T::pair().unwrap();
    b.set_passcred(true).unwrap();
    for _ in 0..3 {
        a.put(b"").unwrap();
    }
    assert_eq!(get(&b, 4).credentials, Some(mine()));
    assert_eq!(got_of(&b, 4, RecvOptions::new()).unwrap().credentials, Some(mine()));
    assert_eq!(get(&b, 0).credentials, Some(mine()));
    assert_eq!(now(&b).unwrap_err(), NOTHING);
}

/// See "The end of a stream names root" in `kernel.md`.
#[test]
fn end_of_a_seqpacket_connection_is_told_from_an_empty_message_by_its_credentials() {
    let _watchdog = Watchdog::new();
    let (a, b) = UnixSeqpacket::pair().unwrap();
    b.set_passcred(true).unwrap();
    assert_eq!(a.send(b""), Ok(0));
    drop(a);
    let told = [(); 3].map(|()| {
        let got = get(&b, 4);
        (got.received.size, got.credentials)
    });
    assert_eq!(told, [(0, Some(mine())), (0, None), (0, None)]);
    assert!(plain::recv(&b, &mut [0; 4], 200, 0).unwrap().messages.is_empty());
}

/// See "Senders are not mixed" in `kernel.md`.
#[test]
fn stream_parts_what_processes_sent_if_it_is_asked_who_they_are() {
    type Ask = fn(&UnixStream) -> Result<(), Errno>;
    let asks: [(Ask, bool); 3] =
        [(|_| Ok(()), false), (|b| b.set_passcred(true), true), (|b| b.set_passpidfd(true), true)];
    passes_in_child(
        "senders::stream_parts_what_processes_sent_if_it_is_asked_who_they_are",
        || {
            for (ask, parts) in asks {
                let (a, b) = UnixStream::pair().unwrap();
                if !is_set(ask(&b)) {
                    continue;
                }
                a.write(b"AA").unwrap();
                // Threads are one sender.
                thread::scope(|scope| scope.spawn(|| a.write(b"aa").unwrap()).join().unwrap());
                let other = fork(|| assert_eq!(a.write(b"BB"), Ok(2)));
                a.write(b"CC").unwrap();
                if !parts {
                    assert_eq!(get(&b, 100).data, b"AAaaBBCC");
                    continue;
                }
                let came = [(); 3].map(|()| get(&b, 100));
                assert_eq!(came.each_ref().map(|got| &got.data[..]), [&b"AAaa"[..], b"BB", b"CC"]);
                if afunix::passcred(&b).unwrap() {
                    let pids = came.map(|got| got.credentials.unwrap().pid);
                    let own = mine().pid;
                    assert_eq!(pids, [own, credentials(other, 0, 0).pid, own]);
                } else {
                    assert!(came.iter().all(|got| got.has_pidfd()));
                }
            }
        },
    );
}

#[test]
fn descriptors_and_credentials_come_together() {
    let _watchdog = Watchdog::new();
    let (a, b) = UnixStream::pair().unwrap();
    b.set_passcred(true).unwrap();
    let files = plain::files(2);
    a.send_fds(b"x", &lend(&files)).unwrap();
    let got = get(&b, 4);
    assert_eq!((got.credentials, got.fds.len(), got.has_pidfd()), (Some(mine()), 2, false));
}
