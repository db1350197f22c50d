//! `playhouse ca`: a cluster's authority, the identities that it gives nodes, and what a certificate says.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use playhouse::rt::Host;
use playhouse::{Authority, Certificate, FileError, FileWarning, NodeName, Utc};
use serde_json::{Value, json};

use crate::Trouble;
use crate::text::{Paint, err, number, out, sentence};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What an authority is made for, unless the user says otherwise: ten years.
const AUTHORITY_DAYS: u32 = 3652;

/// What an identity is issued for, unless the user says otherwise.
const IDENTITY_DAYS: u32 = 365;

/// With fewer days left, `show` warns.
const WARN_DAYS: i64 = 30;

/// Makes a cluster's certificates and shows what they say.
///
/// Nodes prove their names with certificates that their cluster's own authority has signed. `init` makes the authority, `issue` a node's
/// identity, `show` says what a certificate is good for and how long.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  playhouse ca init --cluster stage --out certs/ca
  playhouse ca issue --ca certs/ca --node w1 --out certs/w1
  playhouse ca show certs/w1

Exit codes: 0 done, 1 something could not be written, 2 wrong arguments or files.")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Init(Init),
    Issue(Issue),
    Show(Show),
}

/// Makes the authority of a cluster: DIR/ca.pem, which every node needs, and DIR/ca.key, which is secret.
///
/// Whoever has the key can make nodes of this cluster: keep it where no node runs. It is never overwritten.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  playhouse ca init --cluster stage --out certs/ca
  playhouse ca init --cluster stage --out certs/ca --days 730 --json | tail -n 1 | jq -r .fingerprint

The JSON object has: cluster certificate key serial fingerprint valid_from valid_until days_left.")]
struct Init {
    /// Name of the cluster
    #[arg(long, value_name = "NAME")]
    cluster: String,
    /// Folder for ca.pem and ca.key; made if there is none
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// How many days it is valid
    #[arg(long, value_name = "N", default_value_t = AUTHORITY_DAYS, value_parser = days())]
    days: u32,
    /// Print one JSON object as the last line
    #[arg(long)]
    json: bool,
}

/// Issues the identity of a node: a folder with cert.pem, key.pem and ca.pem, as `playhouse node --identity DIR` wants it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  playhouse ca issue --ca certs/ca --node w1 --out certs/w1
  playhouse ca issue --ca certs/ca --node w1 --out certs/w1 --replace     (then send the node SIGHUP)
  playhouse ca issue --ca certs/new-ca --trust certs/ca/ca.pem --node w1 --out certs/w1 --replace

The JSON object has: cluster node folder serial fingerprint valid_from valid_until days_left trusts warnings.")]
struct Issue {
    /// Folder of the authority, as `ca init` made it
    #[arg(long, value_name = "DIR")]
    ca: PathBuf,
    /// Name of the node
    #[arg(long, value_name = "NAME")]
    node: NodeName,
    /// Folder for the identity; made if there is none
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// How many days it is valid [default: 365, or as long as the authority]
    #[arg(long, value_name = "N", value_parser = days())]
    days: Option<u32>,
    /// An authority that the node trusts too, while it is being replaced; may be given more than once
    #[arg(long, value_name = "FILE")]
    trust: Vec<PathBuf>,
    /// Replace an earlier identity of the same node
    #[arg(long)]
    replace: bool,
    /// Print one JSON object as the last line
    #[arg(long)]
    json: bool,
}

/// Shows what certificates say: whose they are, until when they are valid, and who signed them.
///
/// Who signed is looked for in the files given and in the `ca.pem` beside each. Warns when less than 30 days are left. Keys are not shown.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  playhouse ca show certs/ca/ca.pem
  playhouse ca show certs/w1 certs/w2
  playhouse ca show certs/* --json | tail -n 1 | jq '.certificates[] | select(.days_left < 60) | .file'

The JSON object has: certificates (file cluster node authority serial fingerprint valid_from valid_until days_left issuer signed_by) and
warnings. An expired certificate is a warning and has fewer than 0 days left; the exit code stays 0.")]
struct Show {
    /// Files with certificates, or folders with cert.pem and ca.pem
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Print one JSON object as the last line
    #[arg(long)]
    json: bool,
}

fn days() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=i64::from(AUTHORITY_DAYS))
}

pub(crate) fn run(args: Args) -> Result<u8, Trouble> {
    match args.command {
        Command::Init(args) => init(&args),
        Command::Issue(args) => issue(&args),
        Command::Show(args) => show(&args),
    }?;
    Ok(0)
}

fn init(args: &Init) -> Result<(), Trouble> {
    let now = Host::os().wall_clock();
    let authority = Authority::valid_for(&args.cluster, now, DAY * args.days).map_err(Trouble::usage)?;
    authority.save(&args.out).map_err(file_trouble)?;
    let certificate = first(&authority.cert_pem())?;
    let (cert, key) = (args.out.join("ca.pem"), args.out.join("ca.key"));
    let paint = Paint::stdout();
    out(&paint.bold(&format!("The authority of cluster {}", args.cluster)));
    line("certificate", &format!("{} (every node needs it)", name(&cert)));
    line("private key", &format!("{} (secret: keep it where no node runs)", name(&key)));
    tell(&certificate, now, paint);
    if args.json {
        let mut all = says(&certificate, now);
        all["cluster"] = json!(args.cluster);
        all["certificate"] = json!(cert.to_string_lossy());
        all["key"] = json!(key.to_string_lossy());
        out(&all.to_string());
    }
    Ok(())
}

fn issue(args: &Issue) -> Result<(), Trouble> {
    let now = Host::os().wall_clock();
    let authority = Authority::load(&args.ca).map_err(file_trouble)?;
    let mut warnings = Warnings::default();
    warnings.of_files(&authority.warnings);
    let authority = authority.value;
    warnings.of_expiry(&args.ca.join("ca.pem"), &first(&authority.cert_pem())?, now);
    let left = authority.valid_until().saturating_sub(now);
    if left.is_zero() {
        let since = Utc(authority.valid_until());
        return Err(Trouble::usage(format!("{}: this authority has expired at {since}; make a new one", args.ca.display())));
    }
    let valid = args.days.map_or((DAY * IDENTITY_DAYS).min(left), |days| DAY * days);
    let mut identity = authority.issue(&args.node, now, valid).map_err(Trouble::usage)?;
    for file in &args.trust {
        Certificate::load_all(file).map_err(file_trouble)?;
        let text = std::fs::read_to_string(file).map_err(|error| Trouble::usage(format!("{}: {error}", file.display())))?;
        let trusting = identity.also_trusting(&[&text]);
        identity = trusting.map_err(|error| Trouble::usage(format!("{}: {error}", file.display())))?;
    }
    let before = Certificate::load_all(&args.out.join("ca.pem")).unwrap_or_default();
    let written = if args.replace { identity.replace(&args.out) } else { identity.save(&args.out) };
    written.map_err(|error| match error {
        FileError::Exists(_) => Trouble::usage(format!("{error}, or --replace it if it is the same node's")),
        error => file_trouble(error),
    })?;

    let certificate = identity.certificate();
    let trusts = identity.authorities();
    let lost = before.iter().filter(|authority| !trusts.contains(authority)).count();
    if lost > 0 {
        let (out, lost) = (args.out.display(), authorities(lost));
        warnings.say(format!("{out}: the identity before this one also trusted {lost} that this one does not; see --trust"));
    }
    let paint = Paint::stdout();
    out(&paint.bold(&format!("The identity of node {} of cluster {}", args.node, authority.cluster())));
    line("folder", &format!("{} (cert.pem, ca.pem, and key.pem, which is secret)", name(&args.out)));
    line("trusts", &authorities(trusts.len()));
    tell(certificate, now, paint);
    if args.json {
        let mut all = says(certificate, now);
        all["cluster"] = json!(authority.cluster());
        all["node"] = json!(args.node.as_str());
        all["folder"] = json!(args.out.to_string_lossy());
        all["trusts"] = trusts.iter().map(Certificate::fingerprint).collect();
        all["warnings"] = json!(warnings.0);
        out(&all.to_string());
    }
    Ok(())
}

fn show(args: &Show) -> Result<(), Trouble> {
    let now = Host::os().wall_clock();
    let mut files = Vec::new();
    for path in &args.files {
        if path.is_dir() {
            let there = ["cert.pem", "ca.pem"].map(|file| path.join(file)).into_iter().filter(|file| file.exists());
            let before = files.len();
            files.extend(there);
            if files.len() == before {
                return Err(Trouble::usage(format!("{}: there is no cert.pem and no ca.pem in it", path.display())));
            }
        } else {
            files.push(path.clone());
        }
    }
    let mut found = Vec::new();
    let mut authorities: Vec<(PathBuf, Certificate)> = Vec::new();
    for file in &files {
        for certificate in Certificate::load_all(file).map_err(file_trouble)? {
            found.push((file, certificate));
        }
    }
    let beside: BTreeSet<PathBuf> = files.iter().map(|file| file.with_file_name("ca.pem")).collect();
    let beside = beside.into_iter().filter(|file| !files.contains(file));
    // What was not asked for may be missing or broken.
    let beside: Vec<_> = beside.filter_map(|file| Some((Certificate::load_all(&file).ok()?, file))).collect();
    let given = found.iter().map(|(file, certificate)| ((*file).clone(), certificate.clone()));
    let more = beside.into_iter().flat_map(|(all, file)| all.into_iter().map(move |certificate| (file.clone(), certificate)));
    authorities.extend(given.chain(more).filter(|(_, certificate)| certificate.is_authority()));

    let paint = Paint::stdout();
    let mut warnings = Warnings::default();
    let mut all = Vec::new();
    for (file, certificate) in &found {
        let signer = authorities.iter().find(|(_, authority)| certificate.is_signed_by(authority));
        let cluster = certificate.cluster().or_else(|| signer.and_then(|(_, authority)| authority.cluster()));
        out(&paint.bold(&name(file)));
        match certificate.node() {
            Some(node) => line("node", &sentence(node.as_str())),
            None => line("authority", if certificate.is_authority() { "yes" } else { "no, and it names no node" }),
        }
        line("cluster", &cluster.map_or("not known".to_string(), sentence));
        tell(certificate, now, paint);
        let issuer = sentence(certificate.issuer());
        let by = match signer {
            Some((_, authority)) if authority == certificate => "itself".to_string(),
            Some((at, _)) => format!("{issuer} ({})", name(at)),
            None => format!("{issuer}, as it says; that authority is not here to check"),
        };
        line("signed by", &by);
        warnings.of_expiry(file, certificate, now);
        let mut value = says(certificate, now);
        value["file"] = json!(file.to_string_lossy());
        value["cluster"] = json!(cluster);
        value["node"] = json!(certificate.node().map(NodeName::as_str));
        value["authority"] = json!(certificate.is_authority());
        value["issuer"] = json!(certificate.issuer());
        value["signed_by"] = json!(signer.map(|(_, authority)| authority.fingerprint()));
        all.push(value);
    }
    if args.json {
        out(&json!({ "certificates": all, "warnings": warnings.0 }).to_string());
    }
    Ok(())
}

/// What was said on standard error.
#[derive(Default)]
struct Warnings(Vec<String>);

impl Warnings {
    fn say(&mut self, text: String) {
        err(&format!("playhouse: warning: {}", sentence(&text)));
        self.0.push(text);
    }

    fn of_files(&mut self, warnings: &[FileWarning]) {
        warnings.iter().for_each(|warning| self.say(warning.to_string()));
    }

    fn of_expiry(&mut self, file: &Path, certificate: &Certificate, now: Duration) {
        let (file, until, left) = (file.display(), Utc(certificate.valid_until()), days_left(certificate, now));
        let advice = if certificate.is_authority() { "make a new authority" } else { "issue a new one" };
        if left < 0 {
            self.say(format!("{file}: this certificate has expired at {until}; {advice}"));
        } else if left < WARN_DAYS {
            self.say(format!("{file}: this certificate expires at {until}, {}; {advice}", in_days(left)));
        }
        if now < certificate.valid_from() {
            let from = Utc(certificate.valid_from());
            self.say(format!("{file}: this certificate is not valid before {from}; is the clock of this machine right?"));
        }
    }
}

/// Whole days that are left; below 0 once it has expired.
fn days_left(certificate: &Certificate, now: Duration) -> i64 {
    let (until, now) = (certificate.valid_until().as_secs() as i64, now.as_secs() as i64);
    (until - now).div_euclid(DAY.as_secs() as i64)
}

fn in_days(left: i64) -> String {
    match left {
        0 => "in less than a day".into(),
        1 => "in 1 day".into(),
        _ => format!("in {left} days"),
    }
}

/// The lines that are the same for all certificates.
fn tell(certificate: &Certificate, now: Duration, paint: Paint) {
    let left = days_left(certificate, now);
    let verdict = match left {
        ..0 => "expired".to_string(),
        _ => format!("{} days left", number(left.unsigned_abs())),
    };
    line("serial", certificate.serial());
    line("SHA-256", &certificate.fingerprint());
    line("valid from", &Utc(certificate.valid_from()).to_string());
    line("valid until", &format!("{} ({})", Utc(certificate.valid_until()), paint.verdict(left >= WARN_DAYS, &verdict)));
}

/// The same for scripts.
fn says(certificate: &Certificate, now: Duration) -> Value {
    json!({
        "serial": certificate.serial(),
        "fingerprint": certificate.fingerprint(),
        "valid_from": Utc(certificate.valid_from()).to_string(),
        "valid_until": Utc(certificate.valid_until()).to_string(),
        "days_left": days_left(certificate, now),
    })
}

pub(crate) fn authorities(count: usize) -> String {
    if count == 1 { "1 authority".into() } else { format!("{count} authorities") }
}

fn line(what: &str, text: &str) {
    out(&format!("  {what:<12} {text}"));
}

fn name(path: &Path) -> String {
    sentence(&path.to_string_lossy())
}

fn first(pem: &str) -> Result<Certificate, Trouble> {
    Certificate::read_all(pem).map(|mut all| all.swap_remove(0)).map_err(Trouble::new)
}

/// Whose fault it was.
fn file_trouble(error: FileError) -> Trouble {
    match error {
        FileError::Write { .. } => Trouble::new(error),
        error => Trouble::usage(error),
    }
}
