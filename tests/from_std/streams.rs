//! Std's traits of streams, beside std's own streams.

use std::fmt::Debug;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;
use std::os::unix::net;
use std::os::unix::process::ExitStatusExt;
use std::thread;

use afunix::UnixStream;

use crate::common::emulated::{NO_PIECES, left_out_by_qemu};
use crate::common::{Watchdog, in_child, passes_in_child};

/// A stream of either make.
trait Stream: Read + Write + Debug + Sized {
    fn pair() -> (Self, Self);
    fn nonblocking(&self);
    fn shutdown(&self, how: Shutdown);
}

impl Stream for net::UnixStream {
    fn pair() -> (Self, Self) {
        Self::pair().unwrap()
    }
    fn nonblocking(&self) {
        self.set_nonblocking(true).unwrap();
    }
    fn shutdown(&self, how: Shutdown) {
        self.shutdown(how).unwrap();
    }
}

impl Stream for UnixStream {
    fn pair() -> (Self, Self) {
        Self::pair().unwrap()
    }
    fn nonblocking(&self) {
        self.set_nonblocking(true).unwrap();
    }
    fn shutdown(&self, how: Shutdown) {
        let how = match how {
            Shutdown::Read => afunix::Shutdown::Read,
            Shutdown::Write => afunix::Shutdown::Write,
            Shutdown::Both => afunix::Shutdown::Both,
        };
        self.shutdown(how).unwrap();
    }
}

/// What a call came to, as far as a program can see.
fn seen<T: Debug>(result: io::Result<T>) -> String {
    match result {
        Ok(value) => format!("{value:?}"),
        Err(error) => format!("{:?}, {:?}, {error}", error.kind(), error.raw_os_error()),
    }
}

/// Everything that a program sees of a stream of one make.
fn story<S: Stream>() -> Vec<String> {
    let mut story = Vec::new();
    let mut buf = [0; 8];

    let (mut a, mut b) = S::pair();
    story.push(seen(a.write(b"")));
    story.push(seen(a.write_vectored(&[])));
    story.push(seen(a.write(b"one")));
    story.push(seen(a.write_vectored(&[IoSlice::new(b"two"), IoSlice::new(b"three")])));
    story.push(seen(a.write_fmt(format_args!("{}!", 4))));
    story.push(seen(a.flush()));
    story.push(seen(b.read(&mut [])));
    story.push(seen(b.read_vectored(&mut [])));
    story.push(seen(b.read(&mut buf).map(|count| buf[..count].to_vec())));
    let (mut head, mut rest) = ([0; 2], [0; 2]);
    story
        .push(seen(b.read_vectored(&mut [IoSliceMut::new(&mut head), IoSliceMut::new(&mut rest)])));
    story.push(format!("{head:?} {rest:?}"));

    // More pieces than the kernel takes at once.
    let pieces = vec![IoSlice::new(b"p"); 1500];
    story.push(seen(a.write_vectored(&pieces)));
    let mut bytes = [0; 1500];
    let mut pieces: Vec<_> = bytes.chunks_mut(1).map(IoSliceMut::new).collect();
    story.push(seen(b.read_vectored(&mut pieces)));

    b.nonblocking();
    story.push(seen(b.read(&mut buf)));
    story.push(seen(b.read_exact(&mut buf)));
    b.nonblocking();
    while let Ok(count) = b.write(&[b'f'; 4096]) {
        assert!(count > 0);
    }
    story.push(seen(b.write(b"full")));
    story.push(seen(b.write_vectored(&[IoSlice::new(b"full")])));

    // The end, the peer's death, and half a close.
    let (mut a, mut b) = S::pair();
    a.write_all(b"last words").unwrap();
    a.shutdown(Shutdown::Write);
    story.push(seen(a.write(b"more")));
    let mut said = String::new();
    story.push(seen(b.read_to_string(&mut said)));
    story.push(said);
    story.push(seen(b.read(&mut buf)));
    story.push(seen(b.read_exact(&mut buf)));
    b.write_all(b"unread").unwrap();
    drop(a);
    story.push(seen(b.write(b"more")));
    story.push(seen(b.write_all(b"more")));
    story.push(seen(b.read(&mut buf)));

    let (mut a, mut b) = S::pair();
    a.write_all(b"unread").unwrap();
    b.write_all(b"read").unwrap();
    drop(b);
    story.push(seen(a.read(&mut buf)));
    story.push(seen(a.read(&mut buf)));
    story.push(seen(a.read(&mut buf)));
    story
}

#[test]
fn a_stream_is_to_a_program_what_std_s_is() {
    let _watchdog = Watchdog::new();
    // Alone in its process: a socket that is closed must be closed at once, and a child of another test
    // has a copy until its `exec`.
    passes_in_child("streams::a_stream_is_to_a_program_what_std_s_is", || {
        let (ours, theirs) = (story::<UnixStream>(), story::<net::UnixStream>());
        assert_eq!(ours, theirs);
        // They are not alike because both failed at once.
        assert!(ours.iter().any(|seen| seen.starts_with("BrokenPipe, Some(32)")), "{ours:#?}");
        assert!(ours.iter().any(|seen| seen.starts_with("WouldBlock, Some(11)")), "{ours:#?}");
        assert!(
            ours.iter().any(|seen| seen.starts_with("ConnectionReset, Some(104)")),
            "{ours:#?}"
        );
        assert!(ours.iter().any(|seen| seen.starts_with("UnexpectedEof")), "{ours:#?}");
        assert!(ours.iter().filter(|seen| *seen == "1024").count() == 2, "{ours:#?}");
    });
}

/// With no bytes to move, std asks the socket of a read and not of a vectored write; here it is the
/// other way round. If this fails, std has changed, and `from_std.md` has to.
#[test]
fn calls_without_bytes_differ() {
    let _watchdog = Watchdog::new();
    let (mut ours, other) = UnixStream::pair().unwrap();
    let (mut theirs, their_other) = net::UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    theirs.set_nonblocking(true).unwrap();
    assert_eq!(Read::read(&mut ours, &mut []).unwrap(), 0);
    assert_eq!(theirs.read(&mut []).unwrap_err().kind(), ErrorKind::WouldBlock);
    // Not closed: a child of another test has a copy until its `exec`.
    other.shutdown(afunix::Shutdown::Both).unwrap();
    their_other.shutdown(Shutdown::Both).unwrap();
    assert_eq!(Read::read(&mut ours, &mut []).unwrap(), 0);
    assert_eq!(theirs.read(&mut []).unwrap(), 0);
    for nothing in [&[][..], &[IoSlice::new(b"")]] {
        if !nothing.is_empty() || !left_out_by_qemu(NO_PIECES) {
            let refused = Write::write_vectored(&mut ours, nothing).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::BrokenPipe);
        }
        assert_eq!(theirs.write_vectored(nothing).unwrap(), 0);
    }
    assert_eq!(Write::write(&mut ours, b"").unwrap_err().kind(), ErrorKind::BrokenPipe);
    assert_eq!(theirs.write(b"").unwrap_err().kind(), ErrorKind::BrokenPipe);
}

#[test]
fn one_stream_is_read_and_written_at_once_by_reference() {
    let _watchdog = Watchdog::new();
    const COUNT: usize = 3_000_000;
    let (a, b) = UnixStream::pair().unwrap();
    let data: Vec<u8> = (0..COUNT).map(|number| (number % 251) as u8).collect();
    let mut echoed = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            (&a).write_all(&data).unwrap();
            a.shutdown(afunix::Shutdown::Write).unwrap();
        });
        scope.spawn(|| {
            assert_eq!(io::copy(&mut &b, &mut &b).unwrap(), COUNT as u64);
            b.shutdown(afunix::Shutdown::Write).unwrap();
        });
        (&a).read_to_end(&mut echoed).unwrap();
    });
    assert!(echoed == data);
}

fn raise_sigpipe() {
    // SAFETY: the default action is no function of ours.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}

/// Every way to write there is, to a peer that is gone.
fn writes_are_epipe(mut stream: impl Write) {
    let pieces = [IoSlice::new(b"x"), IoSlice::new(b"y")];
    let broken = [
        stream.write(b"x").map(drop),
        stream.write_vectored(&pieces).map(drop),
        stream.write_all(b"x"),
        stream.write_fmt(format_args!("{}", 1)),
        io::copy(&mut &b"x"[..], &mut stream).map(drop),
    ];
    for result in broken {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::BrokenPipe);
    }
    stream.flush().unwrap();
}

#[test]
fn no_write_raises_sigpipe() {
    let _watchdog = Watchdog::new();
    passes_in_child("streams::no_write_raises_sigpipe", || {
        raise_sigpipe();
        let stream = UnixStream::pair().unwrap().0;
        writes_are_epipe(&stream);
        writes_are_epipe(stream);
    });
}

/// What the test above differs from: std's `write` raises none, and its `write_vectored` does. If this
/// fails, std has changed, and `from_std.md` has to.
#[test]
fn std_s_vectored_write_dies_of_sigpipe() {
    let _watchdog = Watchdog::new();
    let output = in_child("streams::std_s_vectored_write_dies_of_sigpipe", || {
        raise_sigpipe();
        let mut stream = net::UnixStream::pair().unwrap().0;
        assert_eq!(stream.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
        let _ = stream.write_vectored(&[IoSlice::new(b"x")]);
    });
    assert_eq!(output.status.signal(), Some(libc::SIGPIPE), "{output:?}");
}
