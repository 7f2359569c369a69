//! A scanner of two processes: one may open files and looks into none; the other looks into files and
//! may open none.
//!
//! ```text
//! cargo run --example privsep -- examples tour.rs ../README.md
//! sudo target/debug/examples/privsep /var/spool/in letter.doc --user 61300
//! ```
//!
//! What looks into files from strangers can be taken over by one of them. So the part that does, the
//! worker, has a user of its own, with no rights. It asks the other part, the broker, for each file by
//! its name, and gets a descriptor that it can only read from; the broker prints what it reports.
//!
//! - `broker.rs` has what the broker does, to be taken along: it trusts nothing that the worker says. A
//!   worker that has not dropped its rights is not served: the kernel tells with each message who sent it.
//! - `worker.rs` has what the worker does, first of all to drop its rights, for good.
//! - If one of them ends, so does the other. If the worker is silent for 10 seconds it is killed.
//!
//! Without root's rights the worker keeps those of the broker; this is said, and all else is the same.

mod broker;
mod worker;

use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::io::{self, Write};
use std::os::fd::FromRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{self, Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use std::{env, thread};

use afunix::{Errno, IntoRawFd, Uid, UnixSeqpacket};
use broker::Broker;
use rustix::fs::{Mode, OFlags};
use rustix::process::{geteuid, getuid};

const USAGE: &str = "usage: privsep DIRECTORY NAME... [--user NUMBER]
The worker has the number as its user and as its group, 61300 by default";

/// What starts a worker is this program itself, with this option.
const WORKER: &str = "--worker";
/// How long the broker waits for a word of the worker, and for its end.
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let args: Vec<OsString> = env::args_os().skip(1).collect();
    let result = match args.split_first() {
        Some((help, _)) if help == "--help" || help == "-h" => say(USAGE),
        Some((first, args)) if first == WORKER => worker::main(args),
        _ => broker(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("privsep: {message}");
            ExitCode::FAILURE
        }
    }
}

fn broker(args: Vec<OsString>) -> Result<(), String> {
    let (directory, names, user) = arguments(args)?;
    let folder = rustix::fs::open(
        directory.as_bytes(),
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    );
    let shown = directory.as_bytes().escape_ascii();
    let folder = folder.map_err(cannot(format_args!("open {shown}")))?;
    let user = match geteuid().is_root() {
        true => Some(user),
        false => {
            say("broker: not root, so the worker keeps the rights of this user")?;
            None
        }
    };
    let (socket, workers) = UnixSeqpacket::pair().map_err(cannot("make a pair"))?;
    // Before the worker has the other end, so that no message comes without.
    socket.set_passcred(true).map_err(cannot("ask for credentials"))?;
    socket.set_read_timeout(Some(PATIENCE)).map_err(cannot("set a time limit"))?;
    let mut child = start(workers, user, &directory, &names)?;

    let broker = Broker {
        socket: &socket,
        folder: &folder,
        worker: user.map_or(getuid(), Uid::from_raw),
        // Of each name: that it cannot be opened, the request and the result.
        messages_max: 3 * names.len() + 1,
    };
    let served = broker.serve(|report| say(format_args!("worker: {}", report.escape_ascii())));
    if served.is_err() {
        // It may be anything by now, and is not to see the end and complain of it.
        let _ = child.kill();
    }
    // If it still waits for something, it gets the end instead.
    drop(socket);
    let status = wait(&mut child)?;
    served?;
    if let Some(signal) = status.signal() {
        return Err(format!("the worker was ended by signal {signal}"));
    }
    match status.code() {
        Some(0) => say("broker: the worker is done"),
        _ => Err(format!("the worker failed: {status}")),
    }
}

/// Starts a worker that has `socket` as its standard input, and of this process nothing else but its
/// output: all other descriptors are closed where they are not marked to be kept.
fn start(
    socket: UnixSeqpacket,
    user: Option<u32>,
    directory: &OsStr,
    names: &[OsString],
) -> Result<Child, String> {
    // SAFETY: the number is that of an open descriptor, which was given away for this alone. (With the
    // feature `std` this is `Stdio::from(OwnedFd::from(socket))`.)
    let socket = unsafe { Stdio::from_raw_fd(socket.into_raw_fd()) };
    let user = user.map_or("-".to_string(), |user| user.to_string());
    let this = env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    // The command has the worker's end of the pair, and goes with this statement: if this process kept
    // it, it would never see the worker leave.
    Command::new(this)
        .args([WORKER, &user, &process::id().to_string()])
        .arg(directory)
        .args(names)
        .env_clear()
        .stdin(socket)
        .spawn()
        .map_err(|error| format!("cannot start the worker: {error}"))
}

/// Waits for the end of the worker, which has been asked for it.
fn wait(child: &mut Child) -> Result<process::ExitStatus, String> {
    let end = Instant::now() + PATIENCE;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if Instant::now() < end => thread::sleep(Duration::from_millis(5)),
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err("the worker would not end, and was killed".to_string());
            }
            Err(error) => return Err(format!("lost the worker: {error}")),
        }
    }
}

fn arguments(args: Vec<OsString>) -> Result<(OsString, Vec<OsString>, u32), String> {
    let mut args = args.into_iter();
    let (mut names, mut user) = (Vec::new(), 61_300);
    while let Some(arg) = args.next() {
        match arg.to_str() {
            Some("--user") => {
                // What others have too would be no user of its own: see `require_user`.
                let value: Option<u32> = args.next().and_then(|value| value.to_str()?.parse().ok());
                user = value
                    .filter(|user| !matches!(*user, 0 | 65_534 | u32::MAX))
                    .ok_or("--user wants the number of a user, not of root and not 65534")?;
            }
            Some(option) if option.starts_with("--") => {
                return Err(format!("unknown option {}\n{USAGE}", option.escape_debug()));
            }
            _ => names.push(arg),
        }
    }
    if names.len() < 2 {
        return Err(USAGE.to_string());
    }
    Ok((names.remove(0), names, user))
}

/// Prints a line. Where nobody takes it, as behind `| head -1`, that is an error and no panic.
fn say(line: impl Display) -> Result<(), String> {
    writeln!(io::stdout(), "{line}").map_err(|error| format!("cannot print: {error}"))
}

/// Says what failed and why in words: without `std` an `Errno` knows its number only.
fn cannot(what: impl Display) -> impl FnOnce(Errno) -> String {
    move |errno| format!("cannot {what}: {}", io::Error::from_raw_os_error(errno.raw_os_error()))
}
