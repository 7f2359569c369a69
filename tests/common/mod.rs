//! What the tests share: names that nobody else has, folders that go away, children that end.

// Each test binary uses a part of it.
#![allow(dead_code)]

use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use afunix::UnixAddr;

/// How long anything may take that should take no time at all.
pub const LONG: Duration = Duration::from_secs(30);

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
        let path = format!("/tmp/afx-{}-{}", std::process::id(), unique());
        std::fs::create_dir(&path).expect("a fresh folder");
        Self(path.into())
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

/// Ends the process if it is still held after [`LONG`]: no call under test may hang the suite.
#[must_use]
pub struct Watchdog(Arc<AtomicBool>);

impl Watchdog {
    pub fn new() -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let (seen, start) = (Arc::clone(&done), Instant::now());
        thread::spawn(move || {
            while !seen.load(Ordering::Relaxed) {
                if start.elapsed() > LONG {
                    eprintln!("a call did not return within {LONG:?}");
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

/// Waits for a child whose output is piped; kills it and panics after [`LONG`].
pub fn finish(child: Child) -> Output {
    finish_within(LONG, child)
}

/// [`finish`] with another limit than [`LONG`].
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
    finish(command.spawn().expect("a command that starts"))
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
        std::process::exit(0);
    }
    let mut command = Command::new(std::env::current_exe().expect("this very program"));
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]).env(MARK, test);
    prepare(&mut command);
    run(&mut command)
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
            assert_eq!(unsafe { libc::flock(turn.as_raw_fd(), libc::LOCK_EX) }, 0);
            let result = body();
            drop(turn);
            result
        });
        apart.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// The descriptors that this process has open, with what they are.
pub fn open_fds() -> Vec<(i32, PathBuf)> {
    let mut fds: Vec<_> = std::fs::read_dir("/proc/self/fd")
        .expect("procfs")
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let fd = entry.file_name().to_str()?.parse().ok()?;
            // The descriptor that lists the folder is gone by now.
            Some((fd, std::fs::read_link(entry.path()).ok()?))
        })
        .collect();
    fds.sort();
    fds
}
