//! Descriptors that become one of the five types, or do not, and give the types up again.

use std::error::Error;
use std::net::{TcpListener, TcpStream, UdpSocket};

use afunix::{
    Errno, OwnedFd, UnixDatagram, UnixListener, UnixSeqpacket, UnixSeqpacketListener, UnixStream,
    WrongSocket,
};
use rustix::fd::{AsRawFd, FromRawFd};

use crate::common::kinds::Socket;
use crate::common::{Watchdog, identity, name};

for_all!(
    adopting_takes_its_own_kind_and_refuses_all_others_with_the_reason
    adopted_socket_gives_up_its_descriptor_open_and_unchanged
    adopting_without_a_look_takes_anything_and_its_calls_fail
);

/// As std has it, which without the feature is another type than ours.
fn from_std(fd: impl std::os::fd::IntoRawFd) -> OwnedFd {
    // SAFETY: the number was given away by its owner just now.
    unsafe { OwnedFd::from_raw_fd(fd.into_raw_fd()) }
}

const STREAM: i32 = libc::SOCK_STREAM;
const DATAGRAM: i32 = libc::SOCK_DGRAM;
const SEQPACKET: i32 = libc::SOCK_SEQPACKET;

/// What a descriptor is: nothing that has a family, of another family, or of ours.
enum Is {
    NoSocket,
    Inet,
    Unix { kind: i32, listens: bool },
}

fn candidates() -> Vec<(&'static str, OwnedFd, Is)> {
    let unix = |kind, listens| Is::Unix { kind, listens };
    let (reader, writer) = std::io::pipe().unwrap();
    let bound = |text| name(text);
    vec![
        ("stream", UnixStream::fresh().into(), unix(STREAM, false)),
        ("stream of a pair", UnixStream::pair().unwrap().0.into(), unix(STREAM, false)),
        ("bound stream", UnixStream::bind(&bound("a")).unwrap().into(), unix(STREAM, false)),
        ("datagram", UnixDatagram::fresh().into(), unix(DATAGRAM, false)),
        ("seqpacket", UnixSeqpacket::fresh().into(), unix(SEQPACKET, false)),
        (
            "bound seqpacket",
            UnixSeqpacket::bind(&bound("b")).unwrap().into(),
            unix(SEQPACKET, false),
        ),
        ("listener", UnixListener::fresh().into(), unix(STREAM, true)),
        ("seqpacket listener", UnixSeqpacketListener::fresh().into(), unix(SEQPACKET, true)),
        ("TCP", from_std(TcpListener::bind("127.0.0.1:0").unwrap()), Is::Inet),
        ("UDP", from_std(UdpSocket::bind("127.0.0.1:0").unwrap()), Is::Inet),
        ("read end", from_std(reader), Is::NoSocket),
        ("write end", from_std(writer), Is::NoSocket),
        ("file", from_std(std::fs::File::open("/dev/null").unwrap()), Is::NoSocket),
    ]
}

/// A type as people are told it.
fn named(kind: i32) -> String {
    let name = match kind {
        libc::SOCK_STREAM => "stream",
        libc::SOCK_DGRAM => "datagram",
        _ => "seqpacket",
    };
    format!("{kind} ({name})")
}

/// What must come of making a `T` of it: the reason, the errno and the text.
fn expected<T: Socket>(is: &Is) -> Option<(WrongSocket, Errno, String)> {
    let wanted = T::TYPE;
    match *is {
        Is::NoSocket => {
            Some((WrongSocket::Kernel(Errno::NOTSOCK), Errno::NOTSOCK, "not a socket".to_owned()))
        }
        Is::Inet => Some((
            WrongSocket::Domain { found: libc::AF_INET },
            Errno::AFNOSUPPORT,
            "socket family is 2, AF_UNIX is 1".to_owned(),
        )),
        Is::Unix { kind: found, .. } if found != wanted => Some((
            WrongSocket::Type { wanted, found },
            Errno::PROTOTYPE,
            format!("socket type is {}, wanted {}", named(found), named(wanted)),
        )),
        Is::Unix { listens: true, .. } if !T::LISTENS => Some((
            WrongSocket::Listening,
            Errno::INVAL,
            "socket listens, wanted one that carries data".to_owned(),
        )),
        Is::Unix { listens: false, .. } if T::LISTENS => {
            Some((WrongSocket::NotListening, Errno::INVAL, "socket does not listen".to_owned()))
        }
        Is::Unix { .. } => None,
    }
}

/// Flags that no socket of ours has from birth.
fn set_flags(fd: &OwnedFd) {
    // SAFETY: the calls take numbers alone.
    unsafe {
        let fd = fd.as_raw_fd();
        let flags = libc::fcntl(fd, libc::F_GETFL);
        assert_eq!(libc::fcntl(fd, libc::F_SETFL, flags | libc::O_NONBLOCK), 0);
        assert_eq!(libc::fcntl(fd, libc::F_SETFD, 0), 0);
    }
}

fn adopting_takes_its_own_kind_and_refuses_all_others_with_the_reason<T: Socket>(_: &str) {
    for flags in [false, true] {
        let mut adopted = 0;
        for (what, fd, is) in candidates() {
            if flags {
                set_flags(&fd);
            }
            let before = identity(&fd);
            let after = match (T::try_from(fd), expected::<T>(&is)) {
                (Ok(socket), None) => {
                    adopted += 1;
                    identity(&socket)
                }
                (Err(refused), Some((reason, errno, text))) => {
                    assert_eq!(refused.reason(), reason, "{what}");
                    assert_eq!((refused.errno(), reason.errno()), (errno, errno), "{what}");
                    assert_eq!((refused.to_string(), reason.to_string()), (text.clone(), text));
                    assert!(refused.source().is_some_and(|source| source.is::<WrongSocket>()));
                    identity(&refused.into_fd())
                }
                (given, expected) => panic!("{what}: {given:?}, expected {expected:?}"),
            };
            assert_eq!(after, before, "{what}");
        }
        assert_ne!(adopted, 0);
    }
}

fn adopted_socket_gives_up_its_descriptor_open_and_unchanged<T: Socket>(_: &str) {
    let socket = T::fresh();
    let before = identity(&socket);
    let (fd, ..) = before;
    assert_eq!((socket.as_fd().as_raw_fd(), socket.as_raw_fd()), (fd, fd));
    let mut fd: OwnedFd = socket.into();
    for _ in 0..2 {
        assert_eq!(identity(&fd), before);
        fd = T::try_from(fd).unwrap().into();
        assert_eq!(identity(&fd), before);
        fd = T::from_fd_unchecked(fd).into();
    }
    assert_eq!(T::from_fd_unchecked(fd).take_error(), Ok(None));
}

fn adopting_without_a_look_takes_anything_and_its_calls_fail<T: Socket>(_: &str) {
    for (what, fd, is) in candidates() {
        let before = identity(&fd);
        let socket = T::from_fd_unchecked(fd);
        assert_eq!(identity(&socket), before, "{what}");
        match is {
            Is::NoSocket => {
                assert_eq!(socket.local_addr(), Err(Errno::NOTSOCK), "{what}");
                assert_eq!(socket.take_error(), Err(Errno::NOTSOCK), "{what}");
            }
            Is::Inet => assert_eq!(socket.local_addr(), Err(Errno::AFNOSUPPORT), "{what}"),
            Is::Unix { .. } => assert!(socket.local_addr().is_ok(), "{what}"),
        }
        assert_eq!(identity(&Into::<OwnedFd>::into(socket)), before, "{what}");
    }
}

#[test]
fn connection_accepted_from_a_listener_of_another_family_is_closed() {
    let _watchdog = Watchdog::new();
    let inet = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = TcpStream::connect(inet.local_addr().unwrap()).unwrap();
    let listener = UnixListener::from_fd_unchecked(from_std(inet));
    assert_eq!(listener.accept().map(drop), Err(Errno::AFNOSUPPORT));
    assert_eq!(std::io::Read::read(&mut client, &mut [0]).unwrap(), 0);
}
