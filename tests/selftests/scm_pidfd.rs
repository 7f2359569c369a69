//! Credentials and pidfds: of a process that lives, and of one that has ended and been waited for.

use afunix::{
    AncillaryBuf, AsRawFd, Errno, IoSliceMut, Pid, PidFd, RecvOptions, Space, UnixAddr,
    UnixDatagram, UnixStream,
};
use rustix::process::getpid;

use crate::check::{Checks, Ends, Outcome, answered};
use crate::common::passes::Passes;
use crate::common::{LONG, TempDir, name};
use crate::traits::Options;

const ROOM: usize = Space::new().credentials().pidfd().rights::<1>().bytes();

/// With what the child ends.
const EXIT: i32 = 123;

/// What the kernel knows of a process by its pidfd: the first version of `struct pidfd_info`.
#[repr(C)]
#[derive(Default)]
struct PidFdInfo {
    mask: u64,
    cgroup: u64,
    pid: u32,
    tgid: u32,
    ppid: u32,
    ids: [u32; 8],
    exit_code: i32,
}

const INFO_PID: u64 = 1 << 0;
const INFO_EXIT: u64 = 1 << 3;
/// `_IOWR(0xff, 11, struct pidfd_info)`.
const PIDFD_GET_INFO: u32 = 3 << 30 | (size_of::<PidFdInfo>() as u32) << 16 | 0xff << 8 | 11;

/// Asks for this much.
fn info(pidfd: &PidFd, mask: u64) -> Result<PidFdInfo, Errno> {
    let mut info = PidFdInfo { mask, ..PidFdInfo::default() };
    // SAFETY: the size of what is written is part of the number.
    let done = unsafe { libc::ioctl(pidfd.as_raw_fd(), PIDFD_GET_INFO as _, &raw mut info) };
    answered(done as libc::ssize_t).map(|_| info)
}

/// The process that it is.
fn pid_of(pidfd: &PidFd) -> Result<i32, Errno> {
    info(pidfd, INFO_PID).map(|info| info.pid.cast_signed())
}

/// Receives one byte: it and its sender must be these. Gives the pidfd of the sender.
fn receive<T: Passes>(checks: &Checks, socket: &T, byte: u8, sender: i32) -> Result<PidFd, String> {
    let mut control = AncillaryBuf::<ROOM>::new();
    let mut buf = [0; 8];
    let data = &mut [IoSliceMut::new(&mut buf)];
    let (received, mut ancillary) =
        socket.recv_with(data, &mut control, RecvOptions::new()).unwrap();
    checks.same("bytes", received.bytes, 1)?;
    checks.same("MSG_TRUNC", received.is_truncated(), false)?;
    checks.same("MSG_CTRUNC", ancillary.truncation(), None)?;
    let pid = ancillary.credentials().and_then(|credentials| credentials.pid);
    checks.same("the sender's pid", pid, Pid::from_raw(sender))?;
    let pidfd = ancillary.take_pidfd();
    checks.same("a pidfd", pidfd.as_ref().map(Option::is_some), Ok(true))?;
    checks.same("others", (ancillary.fds().count(), ancillary.unknown().count()), (0, 0))?;
    drop(ancillary);
    checks.same("the byte", buf[0], byte)?;
    Ok(pidfd.unwrap().unwrap())
}

fn pass_both<T: Passes>(socket: &T) {
    socket.set_passcred(true).unwrap();
    socket.set_passpidfd(true).unwrap();
}

/// Where the two meet.
struct Names {
    server: UnixAddr,
    /// That of a client of datagrams, which has to be answered.
    client: UnixAddr,
}

/// The child's part; `ready` tells the parent when to go on.
fn client<T: Options + Passes>(checks: &Checks, names: &Names, ready: &UnixStream) -> Outcome {
    let parent = rustix::process::getppid().map_or(0, |pid| pid.as_raw_pid());
    let socket = T::unbound().unwrap();
    socket.set_limit(Some(LONG / 2)).unwrap();
    if T::TYPE == libc::SOCK_DGRAM {
        socket.bind_to(&names.client).unwrap();
    }
    socket.connect_to(&names.server).unwrap();
    pass_both(&socket);
    ready.write(b"r").unwrap();
    let pidfd = receive(checks, &socket, b'x', parent)?;
    checks.same("the pidfd of the parent", pid_of(&pidfd), Ok(parent))?;
    checks.same("send", socket.put(b"y"), Ok(1))?;
    if T::TYPE == libc::SOCK_STREAM {
        let pid = afunix::peer_credentials(&socket).map(|peer| peer.pid);
        checks.same("SO_PEERCRED", pid, Ok(Pid::from_raw(parent)))?;
        let pidfd = afunix::peer_pidfd(&socket).unwrap();
        checks.same("SO_PEERPIDFD", pid_of(&pidfd), Ok(parent))?;
    }
    // How much was checked.
    ready.write(&[checks.count() as u8]).unwrap();
    Ok(())
}

/// Forks a process that ends with [`EXIT`] if `body` finds nothing wrong.
fn fork(body: impl FnOnce() -> Outcome) -> i32 {
    // SAFETY: the child does not come back from here.
    let child = unsafe { libc::fork() };
    assert!(child >= 0);
    if child == 0 {
        let status = match std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)) {
            Ok(Ok(())) => EXIT,
            Ok(Err(wrong)) => {
                eprintln!("in the child: {wrong}");
                1
            }
            Err(_) => 2,
        };
        // SAFETY: it ends this process.
        unsafe { libc::_exit(status) };
    }
    child
}

fn wait(child: i32) -> i32 {
    let mut status = 0;
    // SAFETY: the status is ours to write.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    status
}

/// The case, where the child is expected to have ended so.
fn talk<T: Ends + Options + Passes>(checks: &Checks, names: &Names, exit: i32) -> Outcome {
    // Pidfds of processes that are gone came with the same version.
    if T::pair().unwrap().0.set_passrights(true).is_err() {
        return checks.skip_option("no pidfd of a process that is gone before Linux 6.16");
    }
    let server = T::serve(&names.server).unwrap();
    let (ready, theirs) = UnixStream::pair().unwrap();
    ready.set_read_timeout(Some(LONG / 2)).unwrap();
    let child = fork(|| {
        // SAFETY: numbers alone.
        unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
        client::<T>(&Checks::default(), names, &theirs)
    });
    drop(theirs);
    let mut word = [0];
    checks.same("the child is ready", ready.read(&mut word), Ok(1))?;
    let socket = T::other_end(server);
    socket.set_limit(Some(LONG / 2)).unwrap();
    if T::TYPE == libc::SOCK_DGRAM {
        socket.connect_to(&names.client).unwrap();
    }
    checks.same("send", socket.put(b"x"), Ok(1))?;
    checks.same("the status of the child", wait(child), EXIT << 8)?;
    checks.same("what the child has checked", ready.read(&mut word), Ok(1))?;
    checks.add(u32::from(word[0]));

    // Now that it is gone.
    pass_both(&socket);
    let pidfd = receive(checks, &socket, b'y', child)?;
    let info = info(&pidfd, INFO_EXIT).unwrap();
    checks.same("PIDFD_INFO_EXIT", info.mask & INFO_EXIT, INFO_EXIT)?;
    checks.same("the exit code", info.exit_code, exit << 8)?;
    // It stays a handle to that one, and there is nobody left to ask of the rest.
    checks.same("the pid of who is gone", pid_of(&pidfd), Err(Errno::SRCH))
}

fn pathname<T: Ends + Options + Passes>(checks: &Checks) -> Outcome {
    let dir = TempDir::new();
    let names = Names { server: dir.addr("server"), client: dir.addr("client") };
    talk::<T>(checks, &names, EXIT)
}

fn names() -> Names {
    Names { server: name("server"), client: name("client") }
}

fn abstract_name<T: Ends + Options + Passes>(checks: &Checks) -> Outcome {
    talk::<T>(checks, &names(), EXIT)
}

cases!(test:
    stream_pathname pathname::<UnixStream>,
    stream_abstract abstract_name::<UnixStream>,
    dgram_pathname pathname::<UnixDatagram>,
    dgram_abstract abstract_name::<UnixDatagram>,
);

/// Another exit code than the child's, and another sender than the true one.
fn wrong(checks: &Checks) -> Outcome {
    let (a, b) = UnixStream::pair().unwrap();
    if b.set_passrights(true).is_err() {
        return checks.skip_option("no pidfd of a process that is gone before Linux 6.16");
    }
    checks
        .fails("the exit code: 31488", |checks| talk::<UnixStream>(checks, &names(), EXIT + 1))?;
    pass_both(&b);
    let mine = getpid().as_raw_pid();
    for (byte, sender, words) in [(b'z', mine, "the byte: 120"), (b'x', 1, "the sender's pid: ")] {
        a.write(b"x").unwrap();
        checks.fails(words, |checks| receive(checks, &b, byte, sender).map(drop))?;
    }
    // A pidfd of one process is not one of another.
    a.write(b"x").unwrap();
    let pidfd = receive(checks, &b, b'x', mine)?;
    checks.fails("the pid: ", |checks| checks.same("the pid", pid_of(&pidfd), Ok(1)))
}

cases!(control: wrong_expectations_fail wrong);
