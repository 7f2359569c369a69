//! What the tests share: names that nobody else has, folders that go away, children that end.

// Each test binary uses a part of it.
#![allow(dead_code, unused_macros)]

pub mod emulated;
pub mod interrupt;
#[macro_use]
pub mod kinds;
pub mod limits;
pub mod notify;
pub mod passes;
pub mod process;
pub mod raw;
pub mod seccomp;
pub mod stepper;
pub mod trace;

use std::io::{ErrorKind, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use afunix::{AsRawFd, UnixAddr};

use emulated::program;

/// How long anything may take that should take no time at all, on a machine that has much else to do.
pub const LONG: Duration = Duration::from_secs(120);

/// [`LONG`], or more of it where an emulator takes ten times as long.
fn patience() -> Duration {
    if emulated::is_emulated() { 4 * LONG } else { LONG }
}

/// A different number at each call.
pub fn unique() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// An abstract name that no other process and no other call has.
pub fn name(tag: &str) -> UnixAddr {
    let text = format!("afunix-test-{}-{}-{tag}", std::process::id(), unique());
    UnixAddr::from_abstract_name(text.as_bytes()).expect("a short tag")
}

/// A fresh folder with a short path, removed with all that is in it.
pub struct TempDir(PathBuf);

impl TempDir {
    pub fn new() -> Self {
        loop {
            let path = format!("/tmp/afx-{}-{}", std::process::id(), unique());
            match std::fs::create_dir(&path) {
                Ok(()) => return Self(path.into()),
                // A test that was killed, in a process of the same number, left it behind.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => panic!("{path}: {error}"),
            }
        }
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.join(name)
    }

    /// The address of a file in this folder.
    pub fn addr(&self, name: impl AsRef<Path>) -> UnixAddr {
        addr(self.join(name))
    }

    /// A path in this folder that is exactly `len` bytes long.
    pub fn path_of_len(&self, len: usize) -> PathBuf {
        let rest = len.checked_sub(self.0.as_os_str().len() + 1).expect("a path that long");
        self.join("p".repeat(rest))
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        // A test that failed may have left it in any state.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The address of a path.
pub fn addr(path: impl AsRef<Path>) -> UnixAddr {
    UnixAddr::from_pathname(path.as_ref().as_os_str().as_bytes()).expect("a good path")
}

/// Ends the process if it is still held after [`patience`]: no call under test may hang the suite.
#[must_use]
pub struct Watchdog(Arc<AtomicBool>);

impl Watchdog {
    pub fn new() -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let (seen, start, limit) = (Arc::clone(&done), Instant::now(), patience());
        thread::spawn(move || {
            while !seen.load(Ordering::Relaxed) {
                if start.elapsed() > limit {
                    eprintln!("a call did not return within {limit:?}");
                    std::process::abort();
                }
                thread::sleep(Duration::from_millis(20));
            }
        });
        Self(done)
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Starts a call that has to wait, in a thread of its own, and comes back when it does: when the
/// thread is asleep in one and the same system call for some time.
pub fn start_waiting<'scope, R: Send + 'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    call: impl FnOnce() -> R + Send + 'scope,
) -> thread::ScopedJoinHandle<'scope, R> {
    let (sender, receiver) = mpsc::channel();
    let waiting = scope.spawn(move || {
        // SAFETY: it cannot fail.
        sender.send(unsafe { libc::gettid() }).expect("a thread that listens");
        call()
    });
    let path = format!("/proc/self/task/{}/syscall", receiver.recv().expect("a thread"));
    let (mut last, mut same) = (String::new(), 0);
    while same < 5 {
        thread::sleep(Duration::from_millis(10));
        // Where the kernel does not tell, the time must do.
        let now = std::fs::read_to_string(&path).unwrap_or_else(|_| "unknown".to_owned());
        same = if now == last && !now.starts_with("running") { same + 1 } else { 0 };
        last = now;
    }
    assert!(!waiting.is_finished(), "the call did not wait");
    waiting
}

/// Waits for a child whose output is piped; kills it and panics after half of [`patience`], so before a
/// [`Watchdog`] ends the process and leaves the child behind.
pub fn finish(child: Child) -> Output {
    finish_within(patience() / 2, child)
}

/// [`finish`] with another limit.
pub fn finish_within(limit: Duration, mut child: Child) -> Output {
    fn drain(pipe: Option<impl Read + Send + 'static>) -> mpsc::Receiver<Vec<u8>> {
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let mut bytes = Vec::new();
            if let Some(mut pipe) = pipe {
                pipe.read_to_end(&mut bytes).expect("a readable pipe");
            }
            // The receiver may have given up.
            let _ = sender.send(bytes);
        });
        receiver
    }
    let (stdout, stderr) = (drain(child.stdout.take()), drain(child.stderr.take()));
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child to wait for") {
            break status;
        }
        if start.elapsed() > limit {
            child.kill().expect("a child to kill");
            panic!("the child {} did not end within {limit:?}", child.id());
        }
        thread::sleep(Duration::from_millis(2));
    };
    let stdout = stdout.recv_timeout(LONG).expect("standard output that ends");
    let stderr = stderr.recv_timeout(LONG).expect("standard error that ends");
    Output { status, stdout, stderr }
}

/// Runs a command to its end, as [`finish`].
pub fn run(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    finish(spawn(command).expect("a command that starts"))
}

/// Starts a command. When this comes back no child has copies of this process's descriptors any more, but
/// of what it was given.
pub fn spawn(command: &mut Command) -> std::io::Result<Child> {
    let _alone = starting();
    let child = command.spawn()?;
    // `vfork` comes back before exec has closed descriptors, and qemu-user's even before exec.
    wait_until_another_program(child.id());
    Ok(child)
}

/// [`spawn`], of what is killed if the thread ends that started it: by a test that fails, say.
pub fn spawn_to_end_with_us(command: &mut Command) -> std::io::Result<Child> {
    // For this std forks, and a fork of qemu-user's may stand still, by a lock that another thread had.
    if !emulated::is_emulated() {
        // SAFETY: the closure makes one system call, without pointers, and nothing else.
        unsafe {
            command.pre_exec(|| {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                Ok(())
            });
        }
    }
    spawn(command)
}

/// Waits, a second at the longest, until a child is not a copy of this process any more.
fn wait_until_another_program(child: u32) {
    // By a way that qemu-user does not take for one to this process, of which it tells something else.
    let line = |pid: u32| std::fs::read(format!("/proc/./{pid}/cmdline")).unwrap_or_default();
    let (own, start) = (line(std::process::id()), Instant::now());
    // It has none for an instant, in which it still has the descriptors, and when it has ended.
    let is_copy = |line: Vec<u8>| line == own || line.is_empty() && !has_ended(child);
    while is_copy(line(child)) && start.elapsed() < Duration::from_secs(1) {
        thread::sleep(Duration::from_millis(1));
    }
}

/// Whether a child has ended. It can still be waited for.
fn has_ended(child: u32) -> bool {
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: all zeros is a valid `siginfo_t`, and it is written to alone.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        assert_eq!(libc::waitid(libc::P_PID, child, &mut info, options), 0);
        info.si_pid() != 0
    }
}

/// Nobody else of this process starts a command as long as the answer lives: until it becomes another
/// program a child has copies of all descriptors.
fn starting() -> MutexGuard<'static, ()> {
    static STARTING: Mutex<()> = Mutex::new(());
    STARTING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Drops what holds a descriptor, so that its file is closed by then: no child of another test has a copy.
pub fn close<T>(holder: T) {
    let _alone = starting();
    drop(holder);
}

/// Runs `body` in a process of its own, for what changes the whole process: signals, umask, limits,
/// user ids, the working directory. `test` is the full name of the calling test.
///
/// The test binary is started again for that one test; there, this call runs the body and exits
/// with 0, or with the panic of the test harness. Here, it gives what came of it.
pub fn in_child(test: &str, body: impl FnOnce()) -> Output {
    in_child_with(test, |_| {}, body)
}

/// [`in_child`] with a command that can be changed before it starts.
pub fn in_child_with(
    test: &str,
    prepare: impl FnOnce(&mut Command),
    body: impl FnOnce(),
) -> Output {
    const MARK: &str = "AFUNIX_TEST_CHILD";
    if std::env::var_os(MARK).is_some_and(|mark| mark == test) {
        body();
        std::io::stdout().flush().expect("standard output");
        // Not `exit`: it takes the main thread's signal stack away, on which that may still be where
        // libc changes the ids of each thread by a signal.
        // SAFETY: it takes a number, and does not come back.
        unsafe { libc::_exit(0) };
    }
    let mut command = program(std::env::current_exe().expect("this very program"));
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]).env(MARK, test);
    prepare(&mut command);
    let output = run(&mut command);
    // Of a wrong name the harness makes no test at all, and is content.
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(!said.contains("running 0 tests"), "there is no test named {test}");
    output
}

/// [`in_child`], where the body must come to its end. If it says why it was skipped, so does this.
#[track_caller]
pub fn passes_in_child(test: &str, body: impl FnOnce()) {
    passes_in_child_with(test, |_| {}, body);
}

/// [`passes_in_child`] with a command that can be changed before it starts.
#[track_caller]
pub fn passes_in_child_with(test: &str, prepare: impl FnOnce(&mut Command), body: impl FnOnce()) {
    let output = in_child_with(test, prepare, body);
    assert_success(&output);
    let said = String::from_utf8_lossy(&output.stdout);
    said.lines().filter(|line| line.contains("skipped: ")).for_each(|line| println!("{line}"));
}

/// Says why a test cannot be run here; the test returns after that. Where nothing may be left out,
/// the environment has `AFUNIX_TESTS_MAY_NOT_SKIP`, and the test fails. What an emulator cannot do is
/// another matter: see [`emulated`].
#[track_caller]
pub fn skip(reason: impl std::fmt::Display) {
    let allowed = std::env::var_os("AFUNIX_TESTS_MAY_NOT_SKIP").is_none();
    assert!(allowed, "this may not be skipped: {reason}");
    println!("skipped: {reason}");
}

/// Panics with what a child said, unless it ended with 0.
#[track_caller]
pub fn assert_success(output: &Output) {
    assert!(
        output.status.success(),
        "{}\nstandard output:\n{}\nstandard error:\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
}

/// Runs `body` where nobody else has the abstract name of no bytes, of which a network namespace
/// has only one for each type of socket.
pub fn with_empty_name<R: Send>(body: impl FnOnce() -> R + Send) -> R {
    thread::scope(|scope| {
        let apart = scope.spawn(|| {
            // A namespace for this thread alone, and for the processes that it starts.
            if unsafe { libc::unshare(libc::CLONE_NEWNET) } == 0 {
                return body();
            }
            // Without the privilege the tests take turns, in this process and in others.
            let turn = std::fs::File::open(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
                .expect("the manifest");
            assert_eq!(
                unsafe { libc::flock(std::os::fd::AsRawFd::as_raw_fd(&turn), libc::LOCK_EX) },
                0
            );
            let result = body();
            drop(turn);
            result
        });
        apart.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// The descriptors that this process has open, with what they are.
pub fn open_fds() -> Vec<(i32, PathBuf)> {
    // Collected first: the descriptor that lists the folder is gone when the links are read.
    let numbers: Vec<i32> = std::fs::read_dir("/proc/self/fd")
        .expect("procfs")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    let file = |fd| Some((fd, std::fs::read_link(format!("/proc/self/fd/{fd}")).ok()?));
    let mut fds: Vec<_> = numbers.into_iter().filter_map(file).collect();
    fds.sort();
    fds
}

/// What a failed call must not have changed: the files in a folder, each with its inode and mode.
pub fn snapshot(folder: impl AsRef<Path>) -> Vec<(PathBuf, u64, u32)> {
    use std::os::unix::fs::MetadataExt;
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let metadata = path.symlink_metadata().expect("a file that stays");
        if metadata.is_dir() {
            files.append(&mut snapshot(&path));
        }
        files.push((path, metadata.ino(), metadata.mode()));
    }
    files.sort();
    files
}

/// A descriptor's number, the inode it is open on, its descriptor flags and its status flags:
/// all that adopting it or giving it back must keep.
pub fn identity(fd: &impl AsRawFd) -> (i32, u64, i32, i32) {
    let fd = fd.as_raw_fd();
    // SAFETY: the three calls write nothing but `stat`, which zeros are a value of.
    unsafe {
        let mut stat: libc::stat = std::mem::zeroed();
        assert_eq!(libc::fstat(fd, &mut stat), 0, "descriptor {fd} is closed");
        // Its width differs from one architecture to the next.
        #[allow(clippy::unnecessary_cast)]
        let inode = stat.st_ino as u64;
        (fd, inode, libc::fcntl(fd, libc::F_GETFD), libc::fcntl(fd, libc::F_GETFL))
    }
}

/// Whether this process may do what only root may.
pub fn is_root() -> bool {
    // SAFETY: it cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// Nobody's ids, by which the process works for as long as it holds this. For a child alone: the
/// whole process is nobody.
pub struct Nobody(());

impl Nobody {
    pub const UID: u32 = 65534;

    pub fn new() -> Self {
        // SAFETY: numbers alone, and one null pointer for no groups.
        unsafe {
            assert_eq!(libc::setgroups(0, std::ptr::null()), 0);
            assert_eq!(libc::setegid(Self::UID), 0);
            assert_eq!(libc::seteuid(Self::UID), 0);
        }
        Self(())
    }
}

impl Drop for Nobody {
    fn drop(&mut self) {
        // SAFETY: numbers alone.
        unsafe {
            assert_eq!(libc::seteuid(0), 0);
            assert_eq!(libc::setegid(0), 0);
        }
    }
}

/// Makes a call that must leave libc's `errno` alone, because it does not go through libc.
#[track_caller]
pub fn keeping_errno<R>(call: impl FnOnce() -> R) -> R {
    const MARK: i32 = 4242;
    // Elsewhere the crate has no system calls of its own.
    const RAW: bool = cfg!(all(
        target_endian = "little",
        not(rustix_use_libc),
        any(
            target_arch = "arm",
            target_arch = "riscv64",
            target_arch = "x86",
            all(any(target_arch = "aarch64", target_arch = "x86_64"), target_pointer_width = "64"),
        ),
    ));
    // SAFETY: the pointer is to this thread's own variable.
    unsafe { *libc::__errno_location() = MARK };
    let answer = call();
    // SAFETY: as above.
    let errno = unsafe { *libc::__errno_location() };
    assert!(!RAW || errno == MARK, "the call changed errno to {errno}");
    answer
}
