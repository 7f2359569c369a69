//! Finds, builds and runs the programs.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use afunix::UnixAddr;

use crate::common::{
    self, LONG, TempDir, assert_success, finish, finish_within, spawn, spawn_to_end_with_us,
};

/// The folder that cargo puts the examples in, for the profile, target and features of this test.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let this = std::env::current_exe().expect("this very program");
        let profile_dir = this.parent().and_then(Path::parent).expect("target/PROFILE/deps");
        build(profile_dir);
        profile_dir.join("examples")
    })
}

/// `cargo test --test examples` builds no examples, and what an earlier command left there may be
/// of another source or other features: so cargo is asked each time. Mostly it has nothing to do.
fn build(profile_dir: &Path) {
    let profile = match profile_dir.file_name().and_then(|name| name.to_str()).expect("a profile") {
        "debug" => "dev",
        other => other,
    };
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args([
        "build",
        "--quiet",
        "--examples",
        "--profile",
        profile,
    ]);
    if cfg!(feature = "std") {
        command.args(["--features", "std"]);
    }
    let mut target_dir = profile_dir.parent().expect("target");
    // With `--target`, the profile's folder is one deeper, below the name of the target.
    let (name, above) = (target_dir.file_name(), target_dir.parent());
    if let (Some(name), Some(above)) = (name.and_then(|name| name.to_str()), above) {
        if name.contains("-linux-") && above.join(".rustc_info.json").exists() {
            command.args(["--target", name]);
            target_dir = above;
        }
    }
    command.arg("--target-dir").arg(target_dir);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    match spawn(&mut command) {
        Ok(cargo) => assert_success(&finish_within(Duration::from_secs(600), cargo)),
        // Where the tests were taken to another machine, what came with them must do.
        Err(error) => eprintln!("cannot start {}: {error}", env!("CARGO")),
    }
}

/// For a test that has a time limit, in which there may be no time to build them.
pub fn build_examples() {
    folder();
}

/// The file of an example.
pub fn file(name: &str) -> PathBuf {
    folder().join(name)
}

pub fn example(name: &str) -> Command {
    common::emulated::program(file(name))
}

/// The name under which `/proc` has an example that runs: that of what the kernel runs, so far as it
/// has room.
pub fn process_name(name: &str) -> String {
    let example = example(name);
    let file = Path::new(example.get_program()).file_name().unwrap().to_str().unwrap();
    file.chars().take(15).collect()
}

/// Runs an example to its end, with `input` to read.
pub fn run_with(name: &str, args: &[&str], input: &[u8]) -> Output {
    let mut command = example(name);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = spawn(&mut command).expect("an example that starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_vec();
    // A program that fails at once does not read it.
    let writer = thread::spawn(move || drop(stdin.write_all(&input)));
    let output = finish(child);
    writer.join().expect("a thread that ends");
    output
}

pub fn run(name: &str, args: &[&str]) -> Output {
    run_with(name, args, b"")
}

/// The lines that a program printed, which ended well and had nothing to complain of.
#[track_caller]
pub fn lines(output: &Output) -> Vec<String> {
    assert_success(output);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let text = String::from_utf8(output.stdout.clone()).expect("text");
    text.lines().map(str::to_string).collect()
}

/// What a program complained of that ended badly, but not by a panic (101) or a signal.
#[track_caller]
pub fn complaint(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    stderr
}

/// An example that goes on while the test does something. It is killed where the test fails, even
/// by an abort.
pub struct Running {
    child: Option<Child>,
    lines: mpsc::Receiver<String>,
}

impl Running {
    pub fn start(name: &str, args: &[&str]) -> Self {
        let mut command = example(name);
        command.args(args);
        Self::spawn(command)
    }

    /// Starts any program.
    pub fn spawn(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = spawn_to_end_with_us(&mut command).expect("an example that starts");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in stdout.lines() {
                // The test may have ended.
                let _ = sender.send(line.expect("text"));
            }
        });
        Self { child: Some(child), lines }
    }

    /// Starts a server and waits until it listens.
    pub fn server(name: &str, addr: &str, options: &[&str]) -> Self {
        let args: Vec<&str> = [addr].iter().chain(options).copied().collect();
        Self::start(name, &args).listening(addr)
    }

    /// [`server`](Self::server), started by another program.
    pub fn server_under(starter: &[&str], name: &str, addr: &str, options: &[&str]) -> Self {
        let (program, args) = starter.split_first().expect("a program");
        let mut command = Command::new(program);
        let server = example(name);
        command.args(args).arg(server.get_program()).args(server.get_args());
        command.arg(addr).args(options);
        Self::spawn(command).listening(addr)
    }

    fn listening(self, addr: &str) -> Self {
        assert_eq!(self.line(), format!("listening on {addr}"));
        self
    }

    /// Lets the program have this many descriptors from now on.
    pub fn limit_descriptors(&self, count: libc::rlim_t) {
        let pid = self.id();
        let limit = libc::rlimit { rlim_cur: count, rlim_max: count };
        let old = std::ptr::null_mut();
        // SAFETY: one limit to read, and none to write.
        let done = unsafe {
            libc::prlimit(
                pid.try_into().expect("a pid"),
                libc::RLIMIT_NOFILE,
                &raw const limit,
                old,
            )
        };
        assert_eq!(done, 0);
    }

    #[track_caller]
    pub fn line(&self) -> String {
        self.lines.recv_timeout(LONG).expect("another line")
    }

    pub fn child(&mut self) -> &mut Child {
        self.child.as_mut().expect("a child")
    }

    pub fn id(&self) -> u32 {
        self.child.as_ref().expect("a program that runs").id()
    }

    pub fn signal(&mut self, signal: i32) {
        let pid = i32::try_from(self.child().id()).expect("a process id");
        // SAFETY: no pointers; the child was not waited for, so the id is its own.
        assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
    }

    /// Waits for the end; gives the lines that were not read yet.
    #[track_caller]
    pub fn end(mut self) -> Vec<String> {
        let output = finish(self.child.take().expect("a child"));
        let rest = std::iter::from_fn(|| self.lines.recv_timeout(LONG).ok()).collect();
        assert_eq!(lines(&output), [""; 0]);
        rest
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

pub fn names() -> (TempDir, [String; 2]) {
    let dir = TempDir::new();
    let path = dir.join("socket").to_str().expect("text").to_string();
    let name = common::name("example").to_string();
    (dir, [path, name])
}

/// What the C library of this target, and so the example, calls an errno.
pub fn words(errno: i32) -> std::io::Error {
    std::io::Error::from_raw_os_error(errno)
}

pub fn parse(text: &str) -> UnixAddr {
    UnixAddr::parse(text.as_bytes()).expect("an address")
}

pub fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

/// What stands between `start` and `end` in a line.
#[track_caller]
pub fn between<'a>(line: &'a str, start: &str, end: &str) -> &'a str {
    line.strip_prefix(start)
        .and_then(|rest| rest.split_once(end))
        .unwrap_or_else(|| panic!("no {start:?} and {end:?} in {line:?}"))
        .0
}

#[track_caller]
pub fn assert_autobound(name: &str) {
    let digits = name.strip_prefix('@').expect("an abstract name");
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    assert!(digits.len() == 5 && digits.bytes().all(hex), "{name}");
}

/// Waits for a program whose input stays open meanwhile.
pub fn finish_early(running: &mut Running) -> Output {
    let mut child = running.child.take().expect("a child");
    let stdin = child.stdin.take();
    let output = finish(child);
    drop(stdin);
    output
}
