//! `socketpair_fork`.

use crate::program::*;

#[test]
fn socketpair_fork_asks_the_child_and_checks_how_it_ended() {
    for (args, question, answer) in
        [(&[][..], "6 7", "42"), (&["-3", "14"], "-3 14", "-42"), (&["0", "0"], "0 0", "0")]
    {
        assert_eq!(
            lines(&run("socketpair_fork", args)),
            [
                format!("parent: what is the product of {question}?"),
                format!("child: asked for {question}"),
                format!("parent: the child says {answer}"),
                "parent: the child ended with status 0".to_string(),
            ]
        );
    }
    for args in [["3", "pi"], ["", ""], ["9223372036854775807", "2"]] {
        assert_eq!(
            complaint(&run("socketpair_fork", &args)),
            "socketpair_fork: these are no two numbers, or too large ones\n\
             socketpair_fork: the child ended with status 1\n"
        );
    }
    let long = "1".repeat(100);
    assert_eq!(
        complaint(&run("socketpair_fork", &[&long, "1"])),
        "socketpair_fork: a message of 102 bytes is too long\n\
         socketpair_fork: the child ended with status 1\n"
    );
    assert_eq!(
        complaint(&run("socketpair_fork", &["1"])),
        "socketpair_fork: usage: socketpair_fork [NUMBER NUMBER]\n"
    );
}
