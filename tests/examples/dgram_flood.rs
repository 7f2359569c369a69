//! `dgram_flood`.

use crate::program::*;

/// The figures of a line: how many calls sent, and how many received.
fn calls(line: &str, batch: u64) -> (u64, u64) {
    let start = format!("5000 messages, at most {batch} a call: sent in ");
    let rest = line.strip_prefix(&start).unwrap_or_else(|| panic!("{line}"));
    let (sent, rest) = rest.split_once(" calls (").expect("calls that sent");
    let (_, rest) = rest.split_once(" a call), received in ").expect("calls that received");
    let (received, _) = rest.split_once(" (").expect("how many a call");
    (sent.parse().expect("a number"), received.parse().expect("a number"))
}

#[test]
fn dgram_flood_needs_fewer_calls_in_batches() {
    let output = run("dgram_flood", &["5000"]);
    let lines = lines(&output);
    assert_eq!(lines.len(), 4, "{lines:#?}");
    // One at a time: as many calls as messages, on both sides.
    assert_eq!(calls(&lines[0], 1), (5000, 5000));
    for (line, batch) in lines[1..].iter().zip([8, 32, 128]) {
        let (sent, received) = calls(line, batch);
        // The sender waits for room, so that each of its calls sends all that it has.
        assert_eq!(sent, 5000_u64.div_ceil(batch), "{line}");
        // The receiver takes what there is.
        assert!((5000_u64.div_ceil(batch)..=5000).contains(&received), "{line}");
    }
}

#[test]
fn dgram_flood_of_none_and_of_nonsense() {
    let output = run("dgram_flood", &["0"]);
    assert_eq!(lines(&output).len(), 4);
    for args in [&["many"][..], &["-1"], &["1", "2"]] {
        let output = run_with("dgram_flood", args, b"");
        assert_eq!(complaint(&output), "dgram_flood: usage: dgram_flood [MESSAGES]\n");
    }
}
