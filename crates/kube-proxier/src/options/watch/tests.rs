use super::super::tests::{NOTHING, file, flags, write};
use super::*;
use crate::logging::tests::Log;

#[test]
fn a_changed_file_is_noticed_and_a_broken_one_said_once() {
    let (_folder, path) = file("ipvs: {scheduler: lc}\n");
    let flags = flags(&format!("--config={}", path.display()));
    let options = Options::read(flags.clone(), &NOTHING).unwrap();
    let mut watch = ConfigWatch::within(flags, options, NOTHING).unwrap();
    assert_eq!(watch.look().unwrap(), None);
    // Another text with the same meaning is not a change.
    write(&path, "ipvs:\n  scheduler: lc\n");
    assert_eq!(watch.look().unwrap(), None);
    write(&path, "ipvs: {scheduler: wrr}\n");
    let changed = watch.look().unwrap().unwrap();
    assert_eq!(changed.config.scheduler.to_string(), "wrr");
    assert_eq!(watch.look().unwrap(), None);
    write(
        &path,
        "ipvs: {scheduler: far-too-long-a-name}\nmode: userspace\n",
    );
    let broken = watch.look().unwrap_err().to_string();
    assert_eq!(broken.lines().count(), 2, "{broken}");
    assert_eq!(watch.look().unwrap(), None);
    // Back to what is followed already.
    write(&path, "ipvs: {scheduler: wrr}\n");
    assert_eq!(watch.look().unwrap(), None);
    fs::remove_file(&path).unwrap();
    assert!(watch.look().is_err());
    assert_eq!(watch.look().unwrap(), None);
}

#[test]
fn a_change_is_waited_for_past_what_is_broken() {
    let (_folder, path) = file("ipvs: {scheduler: lc}\n");
    let flags = flags(&format!("--config={}", path.display()));
    let options = Options::read(flags.clone(), &NOTHING).unwrap();
    let watch = ConfigWatch::within(flags, options, NOTHING).unwrap();
    let mut watch = watch.every(Duration::from_millis(1));
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).finish();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let logged = || log.text().matches("configuration not followed").count();
    let change = async {
        let pause = || tokio::time::sleep(Duration::from_millis(1));
        write(
            &path,
            "ipvs: {scheduler: far-too-long-a-name}\nmode: userspace\n",
        );
        while logged() < 2 {
            pause().await;
        }
        write(&path, "ipvs: {scheduler: wrr}\n");
    };
    let (changed, ()) = tracing::subscriber::with_default(subscriber, || {
        runtime.block_on(async {
            let limit = Duration::from_secs(60);
            let both = async { tokio::join!(watch.changed(), change) };
            tokio::time::timeout(limit, both).await.unwrap()
        })
    });
    assert_eq!(changed.config.scheduler.to_string(), "wrr");
    assert_eq!(logged(), 2, "{}", log.text());
}

#[test]
fn a_config_map_that_swaps_its_link_is_noticed() {
    let (folder, _) = file("");
    let at = |name: &str| folder.path().join(name);
    for (version, scheduler) in [("1", "lc"), ("2", "wrr")] {
        fs::create_dir(at(version)).unwrap();
        write(
            &at(version).join("c"),
            &format!("ipvs: {{scheduler: {scheduler}}}\n"),
        );
    }
    std::os::unix::fs::symlink("1", at("data")).unwrap();
    std::os::unix::fs::symlink("data/c", at("c")).unwrap();
    let flags = flags(&format!("--config={}", at("c").display()));
    let options = Options::read(flags.clone(), &NOTHING).unwrap();
    let mut watch = ConfigWatch::within(flags, options, NOTHING).unwrap();
    assert_eq!(watch.look().unwrap(), None);
    std::os::unix::fs::symlink("2", at("data.new")).unwrap();
    fs::rename(at("data.new"), at("data")).unwrap();
    let changed = watch.look().unwrap().unwrap();
    assert_eq!(changed.config.scheduler.to_string(), "wrr");
}
