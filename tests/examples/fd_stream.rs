//! `fd_stream`, and its decoder by itself.

use std::collections::VecDeque;
use std::io::{PipeReader, PipeWriter, Read};
use std::os::fd::{AsRawFd, IntoRawFd};

use afunix::{BorrowedFd, FromRawFd, OwnedFd, UnixStream};

use crate::common::emulated::{CUT, STARTS_ITSELF, left_out_by_qemu};
use crate::common::{Watchdog, identity};
use crate::frames::{BODY_MAX, Decoder, Error, FDS_MAX, Frame, HEADER, PENDING_MAX, encode, send};
use crate::program::*;

#[test]
fn fd_stream_serves_the_honest_and_refuses_the_others() {
    if left_out_by_qemu(STARTS_ITSELF) {
        return;
    }
    let mut seen = lines(&run("fd_stream", &[]));
    // How many descriptors find room depends on the size of a pointer.
    let burst = seen.iter_mut().find(|line| line.contains("control buffer")).expect("a burst");
    *burst = burst.split_once("; ").expect("what was closed").0.to_string();
    let wanted = "\
1. A peer that keeps to the protocol.
   a frame of 5 bytes: hello
   a frame of 3 bytes: two
      with a pipe
      with a socket
   a frame of 0 bytes: \n   \
   a frame of 16384 bytes: xxxxxxxxxxxxxxxx...
      with a pipe
   the end
   descriptors left open: 0
2. One that does too, a byte at a time.
   a frame of 5 bytes: drops
      with a pipe
   the end
   descriptors left open: 0
3. One that declares 200 descriptors.
   refused: a frame of 200 descriptors, the limit is 8
   descriptors left open: 0
4. One that declares one and sends one with each byte.
   refused: more descriptors came with a frame than 1
   descriptors left open: 0
5. One that sends 253 at once.
   refused: control messages were lost: the control buffer was too small
   descriptors left open: 0
6. One that declares two and sends none.
   refused: 0 descriptors came with a frame that declares 2
   descriptors left open: 0
7. One that dies inside a frame.
   refused: the stream ended inside a frame
   descriptors left open: 0";
    assert_eq!(seen, wanted.lines().collect::<Vec<_>>());
    assert_eq!(complaint(&run("fd_stream", &["x"])), "fd_stream: usage: fd_stream\n");
}

/// The writing ends of some pipes, which come out of the protocol or are closed.
struct Pipes(Vec<(PipeReader, Option<PipeWriter>)>);

impl Pipes {
    fn new(count: usize) -> Self {
        let pipe = |_| std::io::pipe().map(|(reader, writer)| (reader, Some(writer))).unwrap();
        Self((0..count).map(pipe).collect())
    }

    fn lend(&self) -> Vec<BorrowedFd<'_>> {
        let number = |writer: &Option<PipeWriter>| writer.as_ref().unwrap().as_raw_fd();
        // SAFETY: what is lent cannot outlive `self`, which keeps it open.
        self.0.iter().map(|(_, w)| unsafe { BorrowedFd::borrow_raw(number(w)) }).collect()
    }

    /// Gives the writing ends away.
    fn take(&mut self) -> Vec<OwnedFd> {
        let own = |writer: &mut Option<PipeWriter>| {
            let number = writer.take().unwrap().into_raw_fd();
            // SAFETY: it was given away for this.
            unsafe { OwnedFd::from_raw_fd(number) }
        };
        self.0.iter_mut().map(|(_, writer)| own(writer)).collect()
    }

    /// A pipe whose writing end is open nowhere is at its end; one that is open somewhere makes this
    /// wait, until the watchdog bites.
    fn assert_closed(mut self) {
        for (reader, writer) in &mut self.0 {
            drop(writer.take());
            assert_eq!(reader.read(&mut [0]).unwrap(), 0);
        }
    }
}

/// A file for each descriptor, to tell it by.
fn inode(fd: &OwnedFd) -> u64 {
    identity(fd).1
}

fn inode_of(fd: BorrowedFd<'_>) -> u64 {
    identity(&fd).1
}

/// Frames with these numbers of descriptors, and the pipes that those are of.
struct Sample {
    pipes: Pipes,
    counts: &'static [usize],
}

const BODIES: [&[u8]; 6] = [b"one", b"", b"three", b"4", b"", b"the sixth"];

impl Sample {
    fn new() -> Self {
        let counts = &[0, 2, 0, 1, 3, 0];
        Self { pipes: Pipes::new(counts.iter().sum()), counts }
    }

    /// Each frame's bytes and descriptors.
    fn frames(&self) -> Vec<(Vec<u8>, Vec<BorrowedFd<'_>>)> {
        let mut fds = VecDeque::from(self.pipes.lend());
        let frame = |(body, count): (&&[u8], &usize)| {
            (encode(body, *count).unwrap(), fds.drain(..*count).collect())
        };
        BODIES.iter().zip(self.counts).map(frame).collect()
    }

    #[track_caller]
    fn assert_same(&self, got: &[Frame]) {
        let wanted: Vec<_> = self.frames();
        assert_eq!(got.len(), wanted.len());
        for ((frame, (_, fds)), body) in got.iter().zip(&wanted).zip(BODIES) {
            assert_eq!(frame.body, body);
            let wanted: Vec<_> = fds.iter().map(|fd| inode_of(*fd)).collect();
            assert_eq!(frame.fds.iter().map(inode).collect::<Vec<_>>(), wanted);
        }
    }
}

/// What the decoder makes of a stream whose receives take so many bytes: all of them in turn, and the
/// last of the sizes again and again.
fn receive(stream: &UnixStream, sizes: &[usize]) -> Result<Vec<Frame>, Error> {
    let (mut decoder, mut frames, mut buf) = (Decoder::new(), Vec::new(), [0; 256]);
    let mut turn = 0;
    loop {
        while let Some(frame) = decoder.next_frame()? {
            frames.push(frame);
        }
        let size = sizes[turn.min(sizes.len() - 1)];
        turn += 1;
        let (received, fds) = stream.recv_fds::<FDS_MAX>(&mut buf[..size]).unwrap();
        if received.bytes == 0 {
            return decoder.end().map(|()| frames);
        }
        decoder.feed(&buf[..received.bytes], fds)?;
    }
}

#[test]
fn fd_stream_decodes_whatever_the_sizes_of_the_receives() {
    let _watchdog = Watchdog::new();
    let sample = Sample::new();
    let total: usize = sample.frames().iter().map(|(bytes, _)| bytes.len()).sum();
    for size in 1..=total {
        for sizes in [&[size][..], &[size, 256], &[1, size, 256]] {
            let (a, b) = UnixStream::pair().unwrap();
            for (bytes, fds) in sample.frames() {
                a.send_fds(&bytes, &fds).unwrap();
            }
            drop(a);
            sample.assert_same(&receive(&b, sizes).unwrap());
        }
    }
    sample.pipes.assert_closed();
}

/// As the kernel does when it takes a part only: each frame's descriptors go with its first byte.
/// And as a sender may do, with any other byte of the frame.
#[test]
fn fd_stream_decodes_wherever_the_sends_are_split() {
    let _watchdog = Watchdog::new();
    let sample = Sample::new();
    let longest = sample.frames().iter().map(|(bytes, _)| bytes.len()).max().unwrap();
    for at in 1..longest {
        for late in [false, true] {
            for size in [1, 2, 7, 256] {
                let (a, b) = UnixStream::pair().unwrap();
                for (bytes, fds) in sample.frames() {
                    let (first, second) = bytes.split_at(at.min(bytes.len() - 1));
                    a.send_fds(first, if late { &[] } else { &fds }).unwrap();
                    a.send_fds(second, if late { &fds } else { &[] }).unwrap();
                }
                drop(a);
                sample.assert_same(&receive(&b, &[size]).unwrap());
            }
        }
    }
    sample.pipes.assert_closed();
}

#[test]
fn fd_stream_reads_what_is_sent_and_then_the_end() {
    let _watchdog = Watchdog::new();
    let sample = Sample::new();
    let (a, b) = UnixStream::pair().unwrap();
    for ((_, fds), body) in sample.frames().iter().zip(BODIES) {
        send(&a, body, fds).unwrap();
    }
    // The longest, of which each receive takes a part.
    let body: Vec<u8> = (0..BODY_MAX).map(|i| i.to_le_bytes()[0]).collect();
    send(&a, &body, &[]).unwrap();
    drop(a);
    let mut decoder = Decoder::new();
    let mut frames: Vec<_> =
        std::iter::from_fn(|| decoder.read(&b).unwrap()).take(BODIES.len() + 1).collect();
    assert_eq!(frames.pop().unwrap().body, body);
    sample.assert_same(&frames);
    assert!(decoder.read(&b).unwrap().is_none());
    assert!(decoder.read(&b).unwrap().is_none());
    drop(frames);
    sample.pipes.assert_closed();
}

#[test]
fn fd_stream_sends_nothing_that_would_be_refused() {
    let (a, b) = UnixStream::pair().unwrap();
    let pipes = Pipes::new(FDS_MAX + 1);
    let long = vec![0; BODY_MAX + 1];
    assert_eq!(send(&a, &long, &[]), Err(Error::BodyTooLong { declared: BODY_MAX + 1 }));
    let many = Err(Error::FdsDeclared { declared: FDS_MAX + 1 });
    assert_eq!(send(&a, b"", &pipes.lend()), many);
    drop(a);
    assert_eq!(b.read(&mut [0]), Ok(0));
}

#[test]
fn fd_stream_says_that_there_is_nothing_yet_and_goes_on() {
    let (a, b) = UnixStream::pair().unwrap();
    b.set_nonblocking(true).unwrap();
    let mut decoder = Decoder::new();
    let bytes = encode(b"late", 1).unwrap();
    let pipes = Pipes::new(1);
    a.send_fds(&bytes[..6], &pipes.lend()).unwrap();
    for _ in 0..2 {
        let error = decoder.read(&b).unwrap_err();
        assert_eq!(error, Error::Kernel(afunix::Errno::AGAIN));
    }
    a.write(&bytes[6..]).unwrap();
    let frame = decoder.read(&b).unwrap().unwrap();
    assert_eq!((frame.body.as_slice(), frame.fds.len()), (&b"late"[..], 1));
}

/// Each is what one send carries: bytes, and how many descriptors.
type Sends<'a> = &'a [(&'a [u8], usize)];

#[test]
fn fd_stream_refuses_and_keeps_nothing_open() {
    let _watchdog = Watchdog::new();
    let too_many = |limit| Error::FdsTooMany { limit };
    let missing = |declared, came| Error::FdsMissing { declared, came };
    let cases: &[(Sends, Error)] = &[
        // Declared beyond all limits, before anything else comes.
        (&[(b"\0\0\x40\x01\0", 0)], Error::BodyTooLong { declared: BODY_MAX + 1 }),
        (&[(b"\xff\xff\xff\xff\0", 1)], Error::BodyTooLong { declared: u32::MAX as usize }),
        (&[(b"\0\0\0\0\x09", 8)], Error::FdsDeclared { declared: 9 }),
        (&[(b"\0\0\0\0\xff", 0)], Error::FdsDeclared { declared: 255 }),
        // More than declared: with the frame, behind its header, and with its last byte.
        (&[(b"\0\0\0\x01\0x", 1)], too_many(0)),
        (&[(b"\0\0\0\x01\x01x", 2)], too_many(1)),
        (&[(b"\0\0\0\x09\x02", 2), (b"x", 1)], too_many(2)),
        (&[(b"\0\0\0\x02\x01x", 1), (b"x", 1)], too_many(1)),
        // Before there is a header.
        (&[(b"\0", 8), (b"\0", 1)], too_many(FDS_MAX)),
        (&[(b"\0", 4), (b"\0", 4), (b"\0", 4), (b"\0", 4)], too_many(FDS_MAX)),
        (&[(b"\0", 9)], too_many(FDS_MAX)),
        (&[(b"\0", 8), (b"\0", 12)], too_many(FDS_MAX)),
        // Fewer than declared: none, one, and those that come with the next frame.
        (&[(b"\0\0\0\0\x01", 0)], missing(1, 0)),
        (&[(b"\0\0\0\x02\x02xx", 1)], missing(2, 1)),
        (&[(b"\0\0\0\0\x01\0\0\0\0\x01", 1)], missing(1, 0)),
        (&[(b"\0\0\0\0\x01", 0), (b"\0\0\0\0\x01", 1)], missing(1, 0)),
        // The end inside a frame, and inside a header.
        (&[(b"\0\0\0\x02\x01x", 1)], Error::EndInside),
        (&[(b"\0", 8)], Error::EndInside),
        // A good frame does not help the next.
        (&[(b"\0\0\0\x01\x01x", 1), (b"\0\0\0\x01\0x", 3)], too_many(0)),
    ];
    for (sends, wanted) in cases {
        let pipes = Pipes::new(sends.iter().map(|(_, count)| count).sum());
        let (a, b) = UnixStream::pair().unwrap();
        let mut fds = VecDeque::from(pipes.lend());
        for (bytes, count) in *sends {
            let fds: Vec<_> = fds.drain(..*count).collect();
            a.send_fds(bytes, &fds).unwrap();
        }
        drop(a);
        let mut decoder = Decoder::new();
        let error = loop {
            match decoder.read(&b) {
                Ok(Some(_)) => {}
                Ok(None) => panic!("{sends:?} was not refused"),
                Err(error) => break error,
            }
        };
        assert_eq!(error, *wanted, "{sends:?}");
        // For good, whatever comes.
        assert_eq!(decoder.read(&b).unwrap_err(), error);
        assert_eq!(decoder.feed(b"x", []).unwrap_err(), error);
        assert_eq!(decoder.end().unwrap_err(), error);
        assert!(decoder.room() >= HEADER);
        drop(fds);
        // The decoder is still there, so it is not its drop that closes.
        drop(b);
        pipes.assert_closed();
        drop(decoder);
    }
}

/// What no room was found for is closed by the kernel and the call.
#[test]
fn fd_stream_refuses_a_burst() {
    if left_out_by_qemu(CUT) {
        return;
    }
    let _watchdog = Watchdog::new();
    let (a, b) = UnixStream::pair().unwrap();
    let pipes = Pipes::new(253);
    a.send_fds(b"\0\0\0\0\x08", &pipes.lend()).unwrap();
    let mut decoder = Decoder::new();
    assert!(matches!(decoder.read(&b), Err(Error::FdsLost(_))));
    drop(b);
    pipes.assert_closed();
}

/// The decoder does not rely on being fed by a socket.
#[test]
fn fd_stream_keeps_its_bounds_however_it_is_fed() {
    let _watchdog = Watchdog::new();
    let mut decoder = Decoder::new();
    assert_eq!(decoder.room(), HEADER + BODY_MAX);
    assert_eq!(decoder.feed(&[0; HEADER + BODY_MAX + 1], []), Err(Error::Overfed));

    let mut pipes = Pipes::new(1);
    assert_eq!(Decoder::new().feed(b"", pipes.take()), Err(Error::FdsTooMany { limit: 0 }));
    pipes.assert_closed();

    let mut pipes = Pipes::new(PENDING_MAX + 2);
    let mut fds = pipes.take().into_iter();
    let mut decoder = Decoder::new();
    for _ in 0..2 {
        decoder.feed(b"\0", fds.by_ref().take(FDS_MAX)).unwrap();
    }
    assert_eq!(decoder.feed(b"\0", fds), Err(Error::Overfed));
    pipes.assert_closed();

    // A frame that is dropped closes its own.
    let mut pipes = Pipes::new(2);
    let mut decoder = Decoder::new();
    decoder.feed(b"\0\0\0\0\x02", pipes.take()).unwrap();
    drop(decoder.next_frame().unwrap().unwrap());
    pipes.assert_closed();
}
