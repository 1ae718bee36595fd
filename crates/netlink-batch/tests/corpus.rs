//! Replays the fuzzing seeds, whole and damaged.

#[test]
fn seeds_are_read_whole_and_damaged() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let mut seeds = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let data = std::fs::read(entry.unwrap().path()).unwrap();
        netlink_batch::fuzz::replies(&data);
        for end in 0..data.len().min(200) {
            netlink_batch::fuzz::replies(&data[..end]);
        }
        for position in 0..data.len().min(200) {
            let mut damaged = data.clone();
            for value in [0, 1, 0x7f, 0xff] {
                damaged[position] = value;
                netlink_batch::fuzz::replies(&damaged);
            }
        }
        seeds += 1;
    }
    assert!(seeds > 10);
}
