//! Which system calls something makes, as strace sees them.

use std::process::Command;

use super::emulated::{TRACE, left_out_by_qemu};
use super::{TempDir, assert_success, in_child, run, skip, starting};

/// What is to be looked at.
pub type Run = Box<dyn Fn()>;

/// The calls that one run made, as strace shows them.
#[derive(Debug)]
pub struct Made(pub Vec<String>);

impl Made {
    /// Their names, as they are called on 64-bit machines, with spaces in between.
    pub fn names(&self) -> String {
        let names: Vec<_> = self.0.iter().filter_map(|call| call.split('(').next()).collect();
        let names = names.join(" ").replace("fcntl64", "fcntl").replace("gettime64", "gettime");
        names.replace("ppoll_time64", "ppoll")
    }
}

/// A call that does nothing, and that a trace shows.
pub fn mark() {
    // SAFETY: a number alone; there is no such process.
    unsafe { libc::getpgid(MARK) };
}

pub const MARK: i32 = -4242;

/// Makes the runs one after the other, in a child process, and gives the calls that each of them made in
/// its own thread. `None` where there is no strace. `test` is the full name of the calling test.
pub fn traced(test: &str, runs: impl FnOnce() -> Vec<Run>) -> Option<Vec<Made>> {
    traced_between_marks(test, || {
        let runs = runs();
        mark();
        for run in &runs {
            run();
            mark();
        }
    })
}

/// Has `body` run in a child process, and gives the calls that were made between each two [marks](mark), in
/// the thread that made these. `None` where there is no strace.
pub fn traced_between_marks(test: &str, body: impl FnOnce()) -> Option<Vec<Made>> {
    if std::env::var_os("AFUNIX_TEST_CHILD").is_some() {
        in_child(test, body);
    }
    if left_out_by_qemu(TRACE) {
        return None;
    }
    let folder = TempDir::new();
    let trace = folder.join("trace");
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-e", "signal=none", "-o"]).arg(&trace);
    command.arg(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]);
    command.env("AFUNIX_TEST_CHILD", test);
    let usable = {
        let _alone = starting();
        Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).output()
    };
    if !usable.is_ok_and(|output| output.status.success()) {
        skip("there is no strace that works here");
        return None;
    }
    assert_success(&run(&mut command));

    let trace = std::fs::read_to_string(&trace).unwrap();
    // Another thread's call may stand before its end.
    let mark = format!("getpgid({MARK}");
    let thread = trace.lines().find(|line| line.contains(&mark)).expect("a mark");
    let thread = thread.split_whitespace().next().unwrap();
    let calls = trace.lines().filter_map(|line| {
        let (of, call) = line.split_once(' ')?;
        let call = call.trim_start();
        (of == thread && !call.starts_with('<')).then_some(call)
    });
    let calls: Vec<&str> = calls.skip_while(|call| !call.starts_with(&mark)).skip(1).collect();
    let between = calls.split(|call| call.starts_with(&mark));
    let mut made: Vec<_> =
        between.map(|calls| Made(calls.iter().copied().map(String::from).collect())).collect();
    // What came behind the last mark.
    made.pop();
    Some(made)
}
