//! Finds and runs the programs.

use std::io::{Read, Write};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use afunix::{Errno, UnixStream};

use crate::common::{LONG, finish, run, skip, spawn_to_end_with_us};

/// Whether a program is there; if not, says so, and the test is left out.
pub fn is_there(program: &str, version: &str) -> bool {
    let mut command = Command::new(program);
    command.arg(version).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // It must be the program, and not a file of its name that does not run.
    let there = command.status().is_ok_and(|status| status.success());
    if !there {
        skip(format_args!("no {program}"));
    }
    there
}

/// A program that runs, and is killed if the test fails. What it prints is read all the while: it may
/// stop until somebody does.
pub struct Running {
    child: Option<Child>,
    stdout: mpsc::Receiver<Vec<u8>>,
    stderr: mpsc::Receiver<Vec<u8>>,
}

impl Running {
    /// Starts it, with `input` to read.
    pub fn start(command: &mut Command, input: Vec<u8>) -> Self {
        fn drain(mut pipe: impl Read + Send + 'static) -> mpsc::Receiver<Vec<u8>> {
            let (sender, receiver) = mpsc::channel();
            thread::spawn(move || {
                let mut bytes = Vec::new();
                pipe.read_to_end(&mut bytes).expect("a readable pipe");
                // The test may have ended.
                let _ = sender.send(bytes);
            });
            receiver
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child =
            spawn_to_end_with_us(command).unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut stdin = child.stdin.take().expect("a pipe");
        // Not all programs read it.
        thread::spawn(move || drop(stdin.write_all(&input)));
        let stdout = drain(child.stdout.take().expect("a pipe"));
        let stderr = drain(child.stderr.take().expect("a pipe"));
        Self { child: Some(child), stdout, stderr }
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("a child").id()
    }

    /// Interrupts it, and waits for its end as [`end`](Self::end).
    #[track_caller]
    pub fn interrupt(self) -> Vec<u8> {
        // SAFETY: numbers alone, and nobody has waited for the child yet.
        assert_eq!(unsafe { libc::kill(self.pid().cast_signed(), libc::SIGINT) }, 0);
        self.end()
    }

    /// Waits for its end; it must be a good one. Gives what it printed.
    #[track_caller]
    pub fn end(mut self) -> Vec<u8> {
        let Output { status, .. } = finish(self.child.take().expect("a child"));
        let stdout = self.stdout.recv_timeout(LONG / 2).expect("standard output that ends");
        let stderr = self.stderr.recv_timeout(LONG / 2).expect("standard error that ends");
        printed(Output { status, stdout, stderr })
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

/// What a program printed, which ended well and had nothing to complain of.
#[track_caller]
fn printed(output: Output) -> Vec<u8> {
    crate::common::assert_success(&output);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    output.stdout
}

/// Runs a program to its end, as [`Running::end`].
#[track_caller]
pub fn output(command: &mut Command) -> Vec<u8> {
    printed(run(command))
}

/// Makes a call until its name is there: programs do not say when they listen.
#[track_caller]
pub fn when_there<T, E: Into<Errno>>(mut call: impl FnMut() -> Result<T, E>) -> T {
    let start = Instant::now();
    loop {
        match call().map_err(Into::into) {
            Ok(value) => return value,
            // Before it is bound, and before it listens.
            Err(Errno::NOENT | Errno::CONNREFUSED) if start.elapsed() < LONG / 2 => {}
            Err(errno) => panic!("{}", crate::program::words(errno.raw_os_error())),
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// Some megabytes, none of which is like its neighbours.
pub fn large() -> Vec<u8> {
    (0..3_000_000_u32).map(|i| i.wrapping_mul(0x9e37_79b9).to_be_bytes()[0]).collect()
}

pub fn write_all(stream: &UnixStream, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let count = stream.write(bytes).expect("a peer that reads");
        bytes = &bytes[count..];
    }
}

/// All that comes until the end.
pub fn read_all(stream: &UnixStream) -> Vec<u8> {
    let (mut all, mut buf) = (Vec::new(), vec![0; 64 * 1024]);
    loop {
        match stream.read(&mut buf).expect("a peer that ends well") {
            0 => return all,
            count => all.extend_from_slice(&buf[..count]),
        }
    }
}
