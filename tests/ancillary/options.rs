//! The options that say what comes with each message.

use std::net::TcpListener;
use std::os::fd::AsRawFd as _;

use afunix::{
    BorrowedFd, Errno, SendError, UnixDatagram, UnixListener, UnixSeqpacket, UnixSeqpacketListener,
    UnixStream,
};

use crate::common::emulated::{OPTION, is_set, left_out_by_qemu, skip_option};
use crate::common::kinds::{Connects, Data, Listens, Socket};
use crate::common::{Watchdog, name, skip};
use crate::methods::{NOTHING, Passes, get, lend, now};
use crate::plain::{self, SO_INQ, SO_PASSPIDFD, SO_PASSRIGHTS, files, inodes};

for_data!(
    receiver_that_takes_no_descriptors_is_eperm_to_the_sender
    sender_that_tells_credentials_is_given_a_name
);
for_connecting!(
    connection_takes_no_descriptors_if_the_listener_did_not
    bytes_left_are_for_streams
);

/// What the kernel says of an option.
fn is_on(socket: &impl Socket, option: i32) -> bool {
    let (mut value, mut len) = (-1_i32, 4);
    // SAFETY: the option's value is a C `int`, whose size is passed.
    let done = unsafe {
        let value = (&raw mut value).cast();
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, value, &mut len)
    };
    assert_eq!((done, len), (0, 4));
    value != 0
}

macro_rules! check_options {
    ($($Type:ident)+) => {
        $({
            let socket = $Type::fresh();
            let pidfds = is_set(socket.set_passpidfd(true));
            for on in [true, true, false, false, true] {
                assert_eq!(socket.set_passcred(on), Ok(()));
                assert_eq!((socket.passcred(), afunix::passcred(&socket)), (Ok(on), Ok(on)));
                assert_eq!(is_on(&socket, libc::SO_PASSCRED), on);
                if !pidfds {
                    continue;
                }
                // The one is not the other.
                assert_eq!(socket.set_passpidfd(!on), Ok(()));
                assert_eq!((socket.passpidfd(), afunix::passpidfd(&socket)), (Ok(!on), Ok(!on)));
                assert_eq!(is_on(&socket, SO_PASSPIDFD), !on);
                assert_eq!(socket.passcred(), Ok(on));
            }
            let socket = $Type::fresh();
            assert_eq!((socket.passcred(), socket.passpidfd()), (Ok(false), Ok(false)));
            afunix::set_passcred(&socket, true).unwrap();
            is_set(afunix::set_passpidfd(&socket, true));
            assert_eq!((socket.passcred(), socket.passpidfd()), (Ok(true), Ok(pidfds)));
        })+
    };
}

#[test]
fn options_are_what_was_set_on_each_type() {
    let _watchdog = Watchdog::new();
    check_options!(UnixStream UnixDatagram UnixSeqpacket UnixListener UnixSeqpacketListener);
}

#[test]
fn options_of_what_is_no_such_socket_are_refused() {
    let file = std::fs::File::open("/dev/null").unwrap();
    let inet = TcpListener::bind("127.0.0.1:0");
    let check = |number: i32, errno: Errno| {
        // SAFETY: it is open as long as its owner, above.
        let fd = unsafe { BorrowedFd::borrow_raw(number) };
        assert_eq!(afunix::passcred(fd), Err(errno));
        assert_eq!(afunix::set_passcred(fd, true), Err(errno));
        assert_eq!(afunix::passpidfd(fd), Err(errno));
        let answer = afunix::set_passpidfd(fd, true);
        if answer == Err(errno) || !left_out_by_qemu(OPTION) {
            assert_eq!(answer, Err(errno));
        }
    };
    check(file.as_raw_fd(), Errno::NOTSOCK);
    check(i32::MAX, Errno::BADF);
    match inet {
        Ok(inet) => check(inet.as_raw_fd(), Errno::OPNOTSUPP),
        Err(error) => skip(format_args!("no internet sockets: {error}")),
    }
}

fn receiver_that_takes_no_descriptors_is_eperm_to_the_sender<T: Passes>(_: &str) {
    let (a, b) = T::pair().unwrap();
    let files = files(1);
    let lent = lend(&files);
    a.send_fds(b"before", &lent).unwrap();
    if plain::set(&b, SO_PASSRIGHTS, 0).is_err() {
        return skip_option("SO_PASSRIGHTS is of Linux 6.16");
    }
    let refused = Err(SendError::Kernel(Errno::PERM));
    assert_eq!(a.send_fds(b"x", &lent), refused);
    assert_eq!(afunix::send_fds(&a, b"x", &lent), refused);
    // Data is another matter, and so is the other direction.
    assert_eq!(a.send_fds(b"data", &[]).map(|sent| sent.bytes), Ok(4));
    assert_eq!(b.send_fds(b"x", &lent).map(|sent| sent.bytes), Ok(1));
    assert_eq!(get(&a, 4).fds.len(), 1);
    // What was queued before comes.
    let got = get(&b, 6);
    assert_eq!((&got.data[..], inodes(&got.fds)), (&b"before"[..], inodes(&files)));
    assert_eq!(get(&b, 4).data, b"data");
    assert_eq!(now(&b).unwrap_err(), NOTHING);
}

fn connection_takes_no_descriptors_if_the_listener_did_not<T: Passes + Connects>(_: &str) {
    let listener = T::Listener::bind(&name("server")).unwrap();
    if plain::set(&listener, SO_PASSRIGHTS, 0).is_err() {
        return skip_option("SO_PASSRIGHTS is of Linux 6.16");
    }
    let client = T::connect(&listener.local_addr().unwrap()).unwrap();
    let files = files(1);
    let refused = Err(SendError::Kernel(Errno::PERM));
    // Before it is accepted too.
    assert_eq!(client.send_fds(b"x", &lend(&files)), refused);
    let (connection, _) = listener.accept().unwrap();
    assert_eq!(client.send_fds(b"x", &lend(&files)), refused);
    assert_eq!(connection.send_fds(b"x", &lend(&files)).map(|sent| sent.bytes), Ok(1));
}

fn bytes_left_are_for_streams<T: Data + Passes>(_: &str) {
    let (a, b) = T::pair().unwrap();
    let is_stream = T::TYPE == libc::SOCK_STREAM;
    let set = plain::set(&b, SO_INQ, 1);
    if is_stream && set.is_err() {
        return skip_option("SO_INQ is of Linux 6.17");
    }
    assert_eq!(set, if is_stream { Ok(()) } else { Err(Errno::NOPROTOOPT) });
    a.put(b"abcd").unwrap();
    assert_eq!(get(&b, 1).bytes_left, is_stream.then_some(3));
}

/// See "Autobind" in `kernel.md`.
fn sender_that_tells_credentials_is_given_a_name<T: Passes>(_: &str) {
    let there = name("server");
    let _server = T::serve(&there).unwrap();
    let set: [fn(&T) -> _; 2] =
        [|socket| socket.set_passcred(true), |socket| socket.set_passpidfd(true)];
    for set in set {
        let socket = T::unbound().unwrap();
        if !is_set(set(&socket)) {
            continue;
        }
        assert!(socket.local_addr().unwrap().is_unnamed());
        socket.connect_to(&there).unwrap();
        assert_eq!(socket.local_addr().unwrap().as_abstract_name().map(<[u8]>::len), Some(5));
    }
    let socket = T::unbound().unwrap();
    socket.connect_to(&there).unwrap();
    assert!(socket.local_addr().unwrap().is_unnamed());
}
