//! The receiver, and what must have come.

use afunix::{
    Ancillary, AncillaryBuf, AsFd, Errno, IoSliceMut, OwnedFd, Received, RecvError, RecvOptions,
    recv_fds, recv_fds_exact, recv_with,
};

use super::super::libc_walk::HEADER;
use super::{Keep, Script, inode};

/// What was sent in one call, and has not been received.
#[derive(Debug)]
pub struct Batch {
    /// Where it begins in the stream.
    pub start: usize,
    pub len: usize,
    /// The files that come with it.
    pub files: Vec<u64>,
}

pub struct Receiver<'a> {
    pub script: &'a Script<'a>,
    pub keep: Keep,
    pub socket: OwnedFd,
    pub batches: Vec<Batch>,
    /// How much of the stream was received.
    pub position: usize,
    pub has_pidfds: bool,
    pub has_inq: bool,
    /// Whether descriptors may run out.
    pub is_limited: bool,
}

impl Receiver<'_> {
    /// Receives once; gives whether there may be more.
    pub fn receive(&mut self) -> bool {
        let mut room = [0; 255];
        let room = &mut room[..usize::from(self.script.room)];
        match self.script.way % 16 {
            0 => self.some::<0>(room),
            1 => self.some::<1>(room),
            2 => self.some::<4>(room),
            3 => self.some::<253>(room),
            4 => self.exact::<0>(room),
            5 => self.exact::<1>(room),
            6 => self.exact::<3>(room),
            7 => self.with::<0>(room),
            8 => self.with::<19>(room),
            9 => self.with::<24>(room),
            10 => self.with::<57>(room),
            11 => self.with::<100>(room),
            _ => self.with::<1200>(room),
        }
    }

    fn some<const N: usize>(&mut self, room: &mut [u8]) -> bool {
        let error = match recv_fds::<N>(&self.socket, room) {
            Ok((Received { bytes, size, .. }, fds)) => {
                let due = self.due(bytes, size);
                assert_eq!(fds.len(), due.files.len().min(N));
                assert_eq!(fds.surplus(), due.files.len() - fds.len());
                for (fd, file) in fds.iter().zip(&due.files) {
                    assert_eq!(inode(fd), *file);
                }
                self.keep(fds.into_iter());
                return !due.is_end;
            }
            Err(error) => error,
        };
        self.refused::<N>(error, false)
    }

    fn exact<const N: usize>(&mut self, room: &mut [u8]) -> bool {
        let error = match recv_fds_exact::<N>(&self.socket, room) {
            Ok((Received { bytes, size, .. }, fds)) => {
                let due = self.due(bytes, size);
                let files: Vec<u64> = fds.iter().map(|fd| inode(fd.as_fd())).collect();
                assert_eq!(files, due.files);
                self.keep(fds.into_iter());
                return !due.is_end;
            }
            Err(error) => error,
        };
        self.refused::<N>(error, true)
    }

    /// What may keep descriptors from coming where there is room for `N`.
    fn refused<const N: usize>(&mut self, error: RecvError, exact: bool) -> bool {
        match error {
            RecvError::ControlTruncated { bytes, size, closed, .. } => {
                let due = self.due(bytes, size);
                assert!(closed <= due.files.len());
                let is_due = self.is_limited || self.has_inq || due.files.len() > N;
                assert!(is_due, "{} descriptors had room for {N}", due.files.len());
                !due.is_end
            }
            RecvError::WrongCount { bytes, size, wanted, found, .. } if exact => {
                let due = self.due(bytes, size);
                assert_eq!((wanted, found), (N, due.files.len()));
                assert_ne!(wanted, found);
                !due.is_end
            }
            error => self.nothing(error),
        }
    }

    fn with<const C: usize>(&mut self, room: &mut [u8]) -> bool {
        let mut control = AncillaryBuf::<C>::new();
        if self.script.way & 0x80 != 0 {
            let options = RecvOptions::new().peek();
            let pieces = &mut [IoSliceMut::new(&mut *room)];
            if let Ok((_, ancillary)) = recv_with(&self.socket, pieces, &mut control, options) {
                assert_eq!(ancillary.fds().count(), 0);
            }
        }
        let lossy = self.script.has(5);
        let options = if lossy { RecvOptions::new().lossy() } else { RecvOptions::new() };
        let pieces = &mut [IoSliceMut::new(room)];
        // The borrow of the socket ends with the call.
        match recv_with(self.socket.as_fd(), pieces, &mut control, options) {
            Ok((Received { bytes, size, .. }, ancillary)) => {
                let due = self.due(bytes, size);
                self.check::<C>(ancillary, &due);
                !due.is_end
            }
            Err(RecvError::ControlTruncated { bytes, size, closed, .. }) => {
                let due = self.due(bytes, size);
                assert!(!lossy);
                assert!(closed <= due.files.len());
                assert!(self.is_limited || self.space(&due) > C, "there was room: {due:?}");
                !due.is_end
            }
            Err(error) => self.nothing(error),
        }
    }

    fn check<const C: usize>(&self, mut ancillary: Ancillary<'_>, due: &Due) {
        let files: Vec<u64> = ancillary.fds().map(inode).collect();
        let is_whole = ancillary.truncation().is_none();
        if is_whole {
            assert_eq!(files, due.files);
        } else {
            assert!(self.script.has(5) && due.files.starts_with(&files));
            assert!(self.is_limited || self.space(due) > C, "there was room: {due:?}");
        }
        let credentials = ancillary.credentials();
        if due.is_end {
            assert_eq!(credentials, None, "nobody sent the end");
        } else if is_whole {
            assert_eq!(credentials.is_some(), self.script.has(2));
            assert_eq!(ancillary.bytes_left().is_some(), self.has_inq);
        }
        assert_eq!(ancillary.unknown().count(), 0);
        if self.script.way & 0x40 != 0 {
            let pidfd = ancillary.take_pidfd();
            if is_whole && !self.is_limited && !due.is_end {
                assert_eq!(pidfd.is_ok_and(|pidfd| pidfd.is_some()), self.has_pidfds);
            }
            assert!(ancillary.take_pidfd().is_ok_and(|pidfd| pidfd.is_none()) || self.is_limited);
        }
        self.keep(ancillary.take_fds());
        let left = files.len().saturating_sub(self.taken());
        assert_eq!(ancillary.fds().count(), left);
    }

    /// Takes some out, and leaves the rest where it is.
    fn keep(&self, fds: impl Iterator<Item = OwnedFd>) {
        for (at, fd) in fds.take(self.taken()).enumerate() {
            drop((self.keep)(at, fd));
        }
    }

    fn taken(&self) -> usize {
        usize::from(self.script.way >> 4 & 3)
    }

    /// What came with so much data.
    fn due(&mut self, bytes: usize, size: usize) -> Due {
        if !self.script.is_stream() {
            if self.batches.is_empty() {
                assert_eq!((bytes, size), (0, 0));
                return Due { files: Vec::new(), is_end: true };
            }
            let batch = self.batches.remove(0);
            assert_eq!(size, batch.len);
            assert_eq!(bytes, size.min(usize::from(self.script.room)));
            return Due { files: batch.files, is_end: false };
        }
        if self.is_drained() {
            assert_eq!(bytes, 0);
            return Due { files: Vec::new(), is_end: true };
        }
        let end = self.position + bytes;
        // Of a receive of nothing too.
        let reached = end.max(self.position + 1);
        let mut files = Vec::new();
        for batch in self.batches.iter_mut().filter(|batch| batch.start < reached) {
            assert!(files.is_empty() || batch.files.is_empty(), "descriptors of two sends");
            files.append(&mut batch.files);
        }
        self.position = end;
        Due { files, is_end: false }
    }

    fn is_drained(&self) -> bool {
        let total: usize = self.batches.iter().map(|batch| batch.len).sum();
        if self.script.is_stream() { self.position == total } else { self.batches.is_empty() }
    }

    fn nothing(&self, error: RecvError) -> bool {
        let RecvError::Kernel(errno) = error else { panic!("{error:?}") };
        assert!(self.is_drained(), "{errno} though there is something");
        assert_eq!(errno, Errno::AGAIN);
        false
    }

    /// How much room all of it takes.
    fn space(&self, due: &Due) -> usize {
        let message = |wanted: bool, payload: usize| {
            let space = (HEADER + payload).next_multiple_of(size_of::<usize>());
            if wanted { space } else { 0 }
        };
        message(self.script.has(2), 12)
            + message(!due.files.is_empty(), 4 * due.files.len())
            + message(self.has_pidfds, 4)
            + message(self.has_inq, 4)
    }
}

/// What must come.
#[derive(Debug)]
struct Due {
    files: Vec<u64>,
    is_end: bool,
}
