//! Descriptors and credentials between our sockets and programs in C and in Python, both ways.

use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::FromRawFd as _;
use std::os::unix::fs::MetadataExt;

use afunix::{
    AncillaryBuf, BorrowedFd, Credentials, Gid, IntoRawFd, IoSlice, IoSliceMut, OwnedFd, Pid,
    RecvOptions, SendOptions, Space, Uid,
};

use crate::common::passes::Passes;
use crate::common::{TempDir, Watchdog};
use crate::peer::{Peer, Process};

/// Room for all that can come.
const SPACE: usize = Space::new().credentials().rights::<253>().bytes();

/// Starts a peer at the other end of a pair.
fn start<S: Passes>(peer: Peer, role: &str, count: usize) -> (S, Process) {
    let (ours, theirs) = S::pair().unwrap();
    let theirs = peer.start_at(theirs.into(), role, count);
    (ours, theirs)
}

/// The descriptor as a file, whichever library it is of.
fn file(fd: OwnedFd) -> File {
    // SAFETY: it was given away as a number, so nothing else owns it.
    unsafe { File::from_raw_fd(fd.into_raw_fd()) }
}

/// File K has the content "file K".
fn made<const N: usize>(dir: &TempDir) -> Vec<File> {
    (0..N)
        .map(|number| {
            let path = dir.join(number.to_string());
            std::fs::write(&path, format!("file {number}")).unwrap();
            File::open(path).unwrap()
        })
        .collect()
}

/// Lends them, whichever library the crate has its descriptors from.
fn lent(files: &[File]) -> Vec<BorrowedFd<'_>> {
    // SAFETY: open as long as the files, which are borrowed.
    let lend = |file| unsafe { BorrowedFd::borrow_raw(std::os::fd::AsRawFd::as_raw_fd(file)) };
    files.iter().map(lend).collect()
}

/// The peer has these very files: it tells their inodes and contents, and by reading it has moved
/// the place at which they are read here too.
fn has(theirs: &Process, files: Vec<File>) {
    for (number, mut file) in files.into_iter().enumerate() {
        let inode = file.metadata().unwrap().ino();
        assert_eq!(theirs.line(), format!("file {inode} file {number}"));
        assert_eq!(file.stream_position().unwrap(), file.metadata().unwrap().len());
    }
}

/// The inodes of the files that the peer has made.
fn inodes(theirs: &Process, count: usize) -> Vec<String> {
    (0..count)
        .map(|_| {
            let line = theirs.line();
            line.strip_prefix("made ").unwrap_or_else(|| panic!("{line}")).to_owned()
        })
        .collect()
}

/// These are the files that the peer has made.
fn are(fds: impl IntoIterator<Item = OwnedFd>, inodes: &[String]) {
    let mut seen = 0;
    for (number, fd) in fds.into_iter().enumerate() {
        let mut file = file(fd);
        assert_eq!(file.metadata().unwrap().ino().to_string(), inodes[number]);
        let mut content = String::new();
        file.read_to_string(&mut content).unwrap();
        assert_eq!(content, format!("file {number}"));
        seen += 1;
    }
    assert_eq!(seen, inodes.len());
}

/// Who this process is.
fn mine() -> Credentials {
    credentials(std::process::id())
}

/// Who the process `pid` is, which has its ids from this one.
fn credentials(pid: u32) -> Credentials {
    // SAFETY: neither can fail, and what they give are ids.
    unsafe {
        Credentials {
            pid: Pid::from_raw(pid.try_into().unwrap()),
            uid: Uid::from_raw(libc::getuid()),
            gid: Gid::from_raw(libc::getgid()),
        }
    }
}

/// Runs a test once with each number of descriptors.
macro_rules! each_count {
    ($test:ident::<$S:ident>($peer:expr)) => {
        $test::<$S, 1>($peer);
        $test::<$S, 2>($peer);
        $test::<$S, 16>($peer);
        $test::<$S, 253>($peer);
    };
}

pub fn ours_gives<S: Passes>(peer: Peer) {
    fn case<S: Passes, const N: usize>(peer: Peer) {
        let _watchdog = Watchdog::new();
        let dir = TempDir::new();
        let files = made::<N>(&dir);
        let (ours, theirs) = start::<S>(peer, "take", N);
        theirs.says("ready");
        assert_eq!(ours.send_fds(b"given", &lent(&files)).unwrap().bytes, 5);
        theirs.says("data given");
        has(&theirs, files);
        theirs.ends();
    }
    each_count!(case::<S>(peer));
}

pub fn theirs_gives<S: Passes>(peer: Peer) {
    fn case<S: Passes, const N: usize>(peer: Peer) {
        let _watchdog = Watchdog::new();
        let mut buf = [0; 16];
        let (ours, theirs) = start::<S>(peer, "give", N);
        let wanted = inodes(&theirs, N);
        let (received, fds) = ours.recv_fds::<N>(&mut buf).unwrap();
        assert_eq!((&buf[..received.bytes], fds.surplus()), (&b"given"[..], 0));
        are(fds, &wanted);
        theirs.ends();

        let (ours, theirs) = start::<S>(peer, "give", N);
        let wanted = inodes(&theirs, N);
        let (received, fds) = ours.recv_fds_exact::<N>(&mut buf).unwrap();
        assert_eq!(received.bytes, 5);
        are(fds, &wanted);
        theirs.ends();

        let (ours, theirs) = start::<S>(peer, "give", N);
        let wanted = inodes(&theirs, N);
        let mut control = AncillaryBuf::<SPACE>::new();
        let (_, mut ancillary) = ours
            .recv_with(&mut [IoSliceMut::new(&mut buf)], &mut control, RecvOptions::new())
            .unwrap();
        assert!(ancillary.credentials().is_none());
        are(ancillary.take_fds(), &wanted);
        theirs.ends();
    }
    each_count!(case::<S>(peer));
}

/// Two messages of ours arrive at the peer as one.
pub fn ours_splits<S: Passes>(peer: Peer) {
    fn case<S: Passes, const N: usize>(peer: Peer) {
        let _watchdog = Watchdog::new();
        let dir = TempDir::new();
        let files = made::<N>(&dir);
        let (ours, theirs) = start::<S>(peer, "ask", N);
        theirs.says("ready");
        let mut room = AncillaryBuf::<{ SPACE + 24 }>::new();
        let mut writer = room.writer();
        let fds = lent(&files);
        let (first, rest) = fds.split_at(1);
        writer.push_fds(first).unwrap();
        writer.push_fds(rest).unwrap();
        assert_eq!(
            ours.send_with(&[IoSlice::new(b"given")], &writer, SendOptions::new()).unwrap().bytes,
            5
        );
        theirs.says("data given");
        theirs.says("types 2 1");
        theirs.says(&told(mine()));
        has(&theirs, files);
        theirs.ends();
    }
    case::<S, 2>(peer);
    case::<S, 16>(peer);
    case::<S, 253>(peer);
}

/// Two messages of the peer's arrive here as one.
pub fn theirs_splits<S: Passes>(peer: Peer) {
    fn case<S: Passes, const N: usize>(peer: Peer) {
        let _watchdog = Watchdog::new();
        let mut buf = [0; 16];
        let (ours, theirs) = start::<S>(peer, "split", N);
        let wanted = inodes(&theirs, N);
        let (_, fds) = ours.recv_fds_exact::<N>(&mut buf).unwrap();
        are(fds, &wanted);
        theirs.ends();
    }
    case::<S, 2>(peer);
    case::<S, 16>(peer);
    case::<S, 253>(peer);

    // Where one message just fits there is no room for a second header.
    let _watchdog = Watchdog::new();
    let mut buf = [0; 16];
    let (ours, theirs) = start::<S>(peer, "split", 2);
    let wanted = inodes(&theirs, 2);
    let mut control = AncillaryBuf::<{ Space::new().rights::<2>().bytes() }>::new();
    let (_, mut ancillary) =
        ours.recv_with(&mut [IoSliceMut::new(&mut buf)], &mut control, RecvOptions::new()).unwrap();
    are(ancillary.take_fds(), &wanted);
    theirs.ends();
}

/// What a peer prints of credentials.
fn told(Credentials { pid, uid, gid }: Credentials) -> String {
    format!("credentials {} {} {}", Pid::as_raw(pid), uid.as_raw(), gid.as_raw())
}

/// The peer learns who we are: from the kernel, and as we say it.
pub fn ours_is_known<S: Passes>(peer: Peer) {
    for says_so in [false, true] {
        let _watchdog = Watchdog::new();
        let dir = TempDir::new();
        let files = made::<2>(&dir);
        let (ours, theirs) = start::<S>(peer, "ask", 2);
        theirs.says("ready");
        let mut room = AncillaryBuf::<SPACE>::new();
        let mut writer = room.writer();
        if says_so {
            writer.push_credentials(mine()).unwrap();
        }
        let fds = lent(&files);
        writer.push_fds(&fds).unwrap();
        assert_eq!(
            ours.send_with(&[IoSlice::new(b"given")], &writer, SendOptions::new()).unwrap().bytes,
            5
        );
        theirs.says("data given");
        theirs.says("types 2 1");
        theirs.says(&told(mine()));
        has(&theirs, files);
        theirs.ends();
    }
}

/// We learn who the peer is: from the kernel, and as it says it.
pub fn theirs_is_known<S: Passes>(peer: Peer) {
    for role in ["give", "split", "tell"] {
        let _watchdog = Watchdog::new();
        let (ours, theirs) = S::pair().unwrap();
        // Before there is anybody who could send.
        ours.set_passcred(true).unwrap();
        let theirs = peer.start_at(theirs.into(), role, 2);
        let wanted = inodes(&theirs, 2);
        let mut control = AncillaryBuf::<SPACE>::new();
        let mut buf = [0; 16];
        let (received, mut ancillary) = ours
            .recv_with(&mut [IoSliceMut::new(&mut buf)], &mut control, RecvOptions::new())
            .unwrap();
        assert_eq!(&buf[..received.bytes], b"given");
        assert_eq!(ancillary.credentials(), Some(credentials(theirs.id())), "{role}");
        are(ancillary.take_fds(), &wanted);
        theirs.ends();

        // What was not asked for takes no descriptor's place.
        let (ours, theirs) = S::pair().unwrap();
        ours.set_passcred(true).unwrap();
        let theirs = peer.start_at(theirs.into(), role, 253);
        let wanted = inodes(&theirs, 253);
        let (_, fds) = ours.recv_fds_exact::<253>(&mut buf).unwrap();
        are(fds, &wanted);
        theirs.ends();
    }
}
