//! Unloading, parameters, and the configuration as values.

use std::fs;
use std::path::Path;

use kernel_test::cmd;
use kmod_probe::{Directive, Error, LoadOutcome, Modules, UnloadOutcome, UnloadReason};
use nix::unistd::{Uid, setuid};

use crate::{here, is_loaded, name, rule, unloaded};

#[track_caller]
fn stays(module: &str) -> UnloadReason {
    match here().unload(&name(module)).unwrap_err() {
        Error::NotUnloaded { reason, .. } => reason,
        other => unreachable!("{other}"),
    }
}

pub(crate) fn a_module_is_unloaded_unless_it_is_in_use() -> Result<(), Error> {
    let set = unloaded("ip_set_hash_ipport");
    assert_eq!(here().unload(&set)?, UnloadOutcome::NotLoaded);
    here().load(&set)?;
    // By a module.
    let reason = stays("ip_set");
    let UnloadReason::InUse { references, users } = &reason else {
        unreachable!("{reason}");
    };
    assert!(users.contains(&set) && *references >= 1, "{reason}");
    assert!(
        reason.to_string().contains("ip_set_hash_ipport"),
        "{reason}"
    );
    // By a set.
    cmd("ipset create s hash:ip,port");
    let expected = UnloadReason::InUse {
        references: 1,
        users: vec![],
    };
    assert_eq!(stays("ip_set_hash_ipport"), expected);
    assert!(is_loaded(&set));
    cmd("ipset destroy s");
    assert_eq!(here().unload(&set)?, UnloadOutcome::Unloaded);
    assert!(!is_loaded(&set));
    assert!(is_loaded(&name("ip_set")), "what it depends on stays");
    assert_eq!(here().unload(&set)?, UnloadOutcome::NotLoaded);
    assert_eq!(
        here().unload(&name("ip_vs_unheard"))?,
        UnloadOutcome::NotLoaded
    );
    Ok(())
}

pub(crate) fn an_alias_is_unloaded() -> Result<(), Error> {
    let geneve = unloaded("geneve");
    here().load(&geneve)?;
    assert_eq!(
        here().unload(&name("rtnl-link-geneve"))?,
        UnloadOutcome::Unloaded
    );
    assert!(!is_loaded(&geneve));
    assert_eq!(
        here().unload(&name("rtnl-link-geneve"))?,
        UnloadOutcome::NotLoaded
    );
    Ok(())
}

pub(crate) fn a_built_in_module_stays() {
    let list = format!("/lib/modules/{}/modules.builtin", here().release());
    let list = fs::read_to_string(list).unwrap();
    let module = Path::new(list.lines().next().unwrap()).file_stem().unwrap();
    let module = module.to_str().unwrap();
    assert_eq!(stays(module), UnloadReason::BuiltIn);
    let error = here().unload(&name(module)).unwrap_err().to_string();
    assert!(error.ends_with("it is built into the kernel"), "{error}");
}

pub(crate) fn a_user_may_not_unload() -> Result<(), Error> {
    let module = unloaded("ip_vs_ovf");
    here().load(&module)?;
    setuid(Uid::from_raw(65534)).unwrap();
    assert_eq!(stays("ip_vs_ovf"), UnloadReason::NotPermitted);
    assert!(is_loaded(&module));
    Ok(())
}

pub(crate) fn options_are_followed_without_modprobe_too() -> Result<(), Error> {
    rule("options ip_set max_sets=77");
    let without = Modules::at("/proc/self/root", here().release());
    for (modules, outcome) in [
        (here(), LoadOutcome::ByModprobe),
        (without, LoadOutcome::ByFinitModule),
    ] {
        assert_eq!(modules.load(&unloaded("ip_set"))?, outcome);
        let parameter = fs::read_to_string("/sys/module/ip_set/parameters/max_sets");
        assert_eq!(parameter.unwrap(), "77\n");
    }
    // The tests after this one get it without the option.
    let set = unloaded("ip_set");
    let config = here().configuration()?;
    assert_eq!(config.options(&set), "max_sets=77");
    let about: Vec<_> = config.about(&set).collect();
    assert_eq!(about.len(), 1);
    let options = Directive::Options("max_sets=77".to_owned());
    assert_eq!(about[0].directive, options);
    Ok(())
}

/// Held against `modprobe -c`, which prints the configuration that it has read.
pub(crate) fn the_configuration_is_that_of_modprobe() -> Result<(), Error> {
    rule(
        "options ip_vs conn_tab_bits=9 \\\n  debug_level=0\n\
         install sctp /bin/true\n\
         blacklist geneve\n\
         alias my-set ip_set_hash_ip\n\
         softdep ip_vs_rr pre: ip_vs\n\
         remove vrf /bin/true",
    );
    let theirs = cmd("modprobe -c");
    let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let theirs: Vec<_> = theirs.lines().map(squeezed).collect();
    let config = here().configuration()?;
    let ours: Vec<_> = config
        .rules()
        .filter(|rule| rule.path.ends_with("rule.conf"))
        .collect();
    assert_eq!(ours.len(), 6);
    for rule in ours {
        // modprobe prints dashes as underscores.
        let text = squeezed(&rule.text).replace("my-set", "my_set");
        assert!(theirs.contains(&text), "{text}");
    }
    Ok(())
}
