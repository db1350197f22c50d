//! The house keeps itself: every check over the real sources, and every check over the violations that it must find.

use playhouse_tests::tidy::{CHECKS, House, planted};

#[test]
fn the_house_is_tidy() {
    let house = House::read().expect("the repository can be read");
    assert!(house.rust().count() > 20, "only {} Rust files found: the checks would see nothing", house.rust().count());
    let mut report = String::new();
    for check in CHECKS {
        let mut findings = (check.run)(&house);
        findings.sort();
        findings.dedup();
        if !findings.is_empty() {
            report.push_str(&format!("\n{}: broken: {}\n", check.name, check.promise));
            findings.iter().for_each(|finding| report.push_str(&format!("  {finding}\n")));
        }
    }
    assert!(report.is_empty(), "the house is not tidy\n{report}");
}

#[test]
fn every_check_finds_what_is_planted_and_nothing_else() {
    for check in CHECKS {
        for (path, text) in check.planted {
            let findings = (check.run)(&planted(&[(path, text)]));
            assert!(!findings.is_empty(), "{} does not find what is wrong with {path}:\n{text}", check.name);
            assert!(findings.iter().all(|finding| finding.path == *path && finding.line > 0 && !finding.text.is_empty()));
        }
        let findings = (check.run)(&planted(check.clean));
        assert!(findings.is_empty(), "{} finds fault with what is clean: {findings:?}", check.name);
    }
}
