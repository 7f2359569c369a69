//! The traits of embedded-io, which speak of what a caller may rely on.

#![cfg(feature = "embedded-io-07")]

#[path = "../common/mod.rs"]
#[macro_use]
mod common;

use std::thread;

use afunix::{AsRawFd, Errno, IoError, Shutdown, UnixListener, UnixStream};
use embedded_io_07::{Error, ErrorKind, Read, ReadExactError, ReadReady, Write};

use crate::common::{Watchdog, passes_in_child};

/// Of each errno that Linux has the kind is std's, as far as there is one.
#[test]
fn kinds_are_std_s() {
    // What embedded-io has and an errno can be.
    let kinds = [
        "NotFound",
        "PermissionDenied",
        "ConnectionRefused",
        "ConnectionReset",
        "ConnectionAborted",
        "NotConnected",
        "AddrInUse",
        "AddrNotAvailable",
        "BrokenPipe",
        "AlreadyExists",
        "InvalidInput",
        "InvalidData",
        "TimedOut",
        "Interrupted",
        "Unsupported",
        "OutOfMemory",
        "WriteZero",
    ];
    let mut seen = Vec::new();
    for number in 1..=133 {
        let errno = Errno::from_raw_os_error(number);
        let error = IoError::from(errno);
        assert_eq!((error.errno(), Errno::from(error)), (errno, errno));
        let ours = format!("{:?}", error.kind());
        let std_s = format!("{:?}", std::io::Error::from_raw_os_error(number).kind());
        if errno == Errno::OPNOTSUPP {
            // Older ones of std have no kind for it.
            assert_eq!(ours, "Unsupported");
        } else if kinds.contains(&std_s.as_str()) {
            assert_eq!(ours, std_s, "{number}");
            seen.push(std_s);
        } else {
            assert_eq!(ours, "Other", "{number}");
        }
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 15, "{seen:?}");
}

/// The contract, for whatever is both ends of a stream.
fn keeps_the_contract<S>(mut a: S, mut b: S)
where
    S: Read<Error = IoError> + Write + ReadReady,
{
    let mut buf = [0; 8];
    assert_eq!(a.write(b""), Ok(0));
    // Of an empty buffer nothing waits, and it is no end.
    assert_eq!(b.read(&mut []), Ok(0));
    assert_eq!(b.read_ready(), Ok(false));
    assert_eq!(a.write(b"hello"), Ok(5));
    assert_eq!(a.flush(), Ok(()));
    assert_eq!(b.read_ready(), Ok(true));
    assert_eq!(b.read(&mut buf[..2]), Ok(2));
    assert_eq!(b.read_ready(), Ok(true));
    assert_eq!(b.read(&mut buf), Ok(3));
    assert_eq!(b.read_ready(), Ok(false));
    a.write_all(b"12345678").unwrap();
    b.read_exact(&mut buf).unwrap();
    assert_eq!(&buf, b"12345678");
    write!(b, "{}", 42).unwrap();
    assert_eq!(a.read(&mut buf), Ok(2));
}

#[test]
fn a_stream_and_a_reference_to_one_keep_the_contract() {
    let _watchdog = Watchdog::new();
    let (mut a, mut b) = UnixStream::pair().unwrap();
    keeps_the_contract(&a, &b);
    keeps_the_contract(&mut a, &mut b);
    keeps_the_contract(a, b);
}

#[test]
fn the_end_is_zero_bytes_and_ready() {
    let _watchdog = Watchdog::new();
    let (mut a, mut b) = UnixStream::pair().unwrap();
    Write::write_all(&mut a, b"abc").unwrap();
    a.shutdown(Shutdown::Write).unwrap();
    let mut buf = [0; 8];
    assert_eq!(b.read_exact(&mut buf), Err(ReadExactError::UnexpectedEof));
    assert_eq!(&buf[..3], b"abc");
    assert_eq!(b.read_ready(), Ok(true));
    assert_eq!(Read::read(&mut b, &mut buf), Ok(0));
    assert_eq!(b.read_exact(&mut []), Ok(()));
}

#[test]
fn errors_come_through_and_make_a_read_ready() {
    let _watchdog = Watchdog::new();
    // The peer closes with data of ours unread.
    let (mut a, b) = UnixStream::pair().unwrap();
    Write::write_all(&mut a, b"unread").unwrap();
    drop(b);
    assert_eq!(a.read_ready(), Ok(true));
    let error = Read::read(&mut a, &mut [0]).unwrap_err();
    assert_eq!((error.kind(), error.errno()), (ErrorKind::ConnectionReset, Errno::CONNRESET));
    assert_eq!(Write::write_all(&mut a, b"x"), Err(Errno::PIPE.into()));

    let (mut a, _b) = UnixStream::pair().unwrap();
    a.set_nonblocking(true).unwrap();
    let error = Read::read(&mut a, &mut [0]).unwrap_err();
    assert_eq!((error.kind(), error.errno()), (ErrorKind::Other, Errno::AGAIN));
    assert_eq!(a.read_exact(&mut [0]), Err(ReadExactError::Other(error)));
    while Write::write(&mut a, &[0; 4096]).is_ok() {}
    assert_eq!(Write::write_all(&mut a, b"x"), Err(error));

    // Nothing of these waits, so they are ready.
    let mut unconnected = UnixStream::unbound().unwrap();
    assert_eq!(unconnected.read_ready(), Ok(true));
    assert_eq!(Read::read(&mut unconnected, &mut [0]), Err(Errno::INVAL.into()));
}

#[test]
fn no_write_raises_sigpipe() {
    let _watchdog = Watchdog::new();
    passes_in_child("no_write_raises_sigpipe", || {
        // SAFETY: the default action is no function of ours.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
        let mut stream = UnixStream::pair().unwrap().0;
        assert_eq!(Write::write(&mut stream, b"x"), Err(Errno::PIPE.into()));
        assert_eq!(Write::write_all(&mut stream, b"x"), Err(Errno::PIPE.into()));
        assert!(write!(&stream, "x").is_err());
    });
}

#[test]
fn much_data_passes_whole() {
    let _watchdog = Watchdog::new();
    let (listener, name) = UnixListener::autobind().unwrap();
    let client = UnixStream::connect(&name).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    let data: Vec<u8> = (0..2_000_000_u32).map(|number| (number % 251) as u8).collect();
    let mut came = vec![0; data.len()];
    thread::scope(|scope| {
        scope.spawn(|| (&client).write_all(&data).unwrap());
        server.read_exact(&mut came).unwrap();
    });
    assert!(came == data);
}

/// The exception that the documentation names: who asks the kernel to wait for more, waits.
#[test]
fn ready_is_no_promise_where_more_is_waited_for() {
    let _watchdog = Watchdog::new();
    let (mut a, mut b) = UnixStream::pair().unwrap();
    let least: libc::c_int = 4;
    // SAFETY: the option is an int, and one is there.
    let set = unsafe {
        libc::setsockopt(
            b.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVLOWAT,
            (&raw const least).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    assert_eq!(set, 0);
    Write::write(&mut a, b"abc").unwrap();
    assert_eq!(b.read_ready(), Ok(true));
    let mut buf = [0; 8];
    thread::scope(|scope| {
        let waiting = common::start_waiting(scope, || Read::read(&mut b, &mut buf));
        Write::write(&mut a, b"d").unwrap();
        assert_eq!(waiting.join().unwrap(), Ok(4));
    });
}
