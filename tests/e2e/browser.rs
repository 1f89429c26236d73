//! A real browser looks at the page of `packtrain report`: Chromium, spoken to over its debugging pipe.
//!
//! `make test-browser` fetches one and runs these tests; `cargo test` alone leaves them out.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use base64::Engine;
use serde_json::{Value, json};

use crate::report::{experiment, report, runs};

/// A Chromium with one page.
struct Browser {
    process: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    session: Option<String>,
    sent: u64,
    /// What the page complained of.
    complaints: Vec<Value>,
    profile: tempfile::TempDir,
}

impl Browser {
    fn start() -> Browser {
        let chromium = std::env::var("PACKTRAIN_CHROMIUM").expect("PACKTRAIN_CHROMIUM names a Chromium; `make test-browser` sets it");
        let profile = tempfile::tempdir().unwrap();
        // The pipe's ends are file descriptors 3 and 4; a shell moves standard input and output there.
        let mut command = Command::new("sh");
        command.args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1", &chromium]);
        command.args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--remote-debugging-pipe",
        ]);
        command.arg(format!("--user-data-dir={}", profile.path().display()));
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (commands, answers) = (process.stdin.take().unwrap(), BufReader::new(process.stdout.take().unwrap()));
        let mut browser = Browser { process, commands, answers, session: None, sent: 0, complaints: Vec::new(), profile };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }))["targetId"].clone();
        let session = browser.call("Target.attachToTarget", json!({ "targetId": target, "flatten": true }))["sessionId"].clone();
        browser.session = Some(session.as_str().unwrap().to_owned());
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    /// Sends a command and waits for its answer; messages end with a zero byte.
    fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.sent += 1;
        let mut command = json!({ "id": self.sent, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            command["sessionId"] = json!(session);
        }
        self.commands.write_all(format!("{command}\0").as_bytes()).unwrap();
        loop {
            let message = self.message();
            if message["id"] == json!(self.sent) {
                assert!(message.get("error").is_none(), "{method}: {message}");
                return message["result"].clone();
            }
        }
    }

    fn message(&mut self) -> Value {
        let mut bytes = Vec::new();
        self.answers.read_until(0, &mut bytes).unwrap();
        let message: Value = serde_json::from_slice(bytes.strip_suffix(&[0]).expect("the browser ended")).unwrap();
        match message["method"].as_str() {
            Some("Runtime.exceptionThrown" | "Runtime.consoleAPICalled" | "Log.entryAdded") => self.complaints.push(message.clone()),
            Some("Network.requestWillBeSent") => {
                let url = message["params"]["request"]["url"].as_str().unwrap_or_default();
                if !url.starts_with("file:") && !url.starts_with("data:") && url != "about:blank" {
                    self.complaints.push(message.clone());
                }
            }
            _ => {}
        }
        message
    }

    fn open(&mut self, path: &std::path::Path) {
        self.call("Page.navigate", json!({ "url": format!("file://{}", path.display()) }));
        while self.message()["method"] != "Page.loadEventFired" {}
    }

    fn look(&mut self, width: u32, scheme: &str) {
        self.call("Emulation.setDeviceMetricsOverride", json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false }));
        let features = [json!({ "name": "prefers-color-scheme", "value": scheme })];
        self.call("Emulation.setEmulatedMedia", json!({ "media": "screen", "features": features }));
    }

    /// The value of an expression within the page.
    fn evaluate(&mut self, expression: &str) -> Value {
        let answer = self.call("Runtime.evaluate", json!({ "expression": expression, "returnByValue": true, "awaitPromise": true }));
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    fn press(&mut self, key: &str, code: u32, text: &str) {
        for event in ["keyDown", "keyUp"] {
            let text = if event == "keyDown" { text } else { "" };
            self.call(
                "Input.dispatchKeyEvent",
                json!({ "type": event, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text }),
            );
        }
    }

    fn click(&mut self, selector: &str) {
        let place = self.evaluate(&format!(
            "(() => {{ const e = document.querySelector({selector:?}); e.scrollIntoView({{ block: 'center', behavior: 'instant' }}); \
             const b = e.getBoundingClientRect(); return [b.x + 8, b.y + b.height / 2]; }})()"
        ));
        for event in ["mousePressed", "mouseReleased"] {
            self.call(
                "Input.dispatchMouseEvent",
                json!({ "type": event, "x": place[0], "y": place[1], "button": "left", "clickCount": 1 }),
            );
        }
    }

    /// Keeps a picture where the environment asks for it.
    fn keep_picture(&mut self, name: &str) {
        let Ok(folder) = std::env::var("PACKTRAIN_PICTURES") else { return };
        let clip = self.whole();
        let shot = self.call("Page.captureScreenshot", json!({ "format": "png", "captureBeyondViewport": true, "clip": clip }));
        let bytes = base64::engine::general_purpose::STANDARD.decode(shot["data"].as_str().unwrap()).unwrap();
        std::fs::write(std::path::Path::new(&folder).join(format!("{name}.png")), bytes).unwrap();
    }

    fn whole(&mut self) -> Value {
        let size = self.call("Page.getLayoutMetrics", json!({}))["cssContentSize"].clone();
        json!({ "x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1 })
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The profile's folder is removed after the browser has let go of it.
        drop(self.process.kill());
        drop(self.process.wait());
        assert!(self.profile.path().exists() || std::thread::panicking());
    }
}

/// What is wider than the page, or hidden behind its edge without a way to scroll there.
const OVERFLOWING: &str = "(() => {
  const wide = document.documentElement.scrollWidth > document.documentElement.clientWidth ? ['the page: ' + document.documentElement.scrollWidth] : [];
  const scrolls = (e) => e && (['auto', 'scroll'].includes(getComputedStyle(e).overflowX) || scrolls(e.parentElement));
  const out = [...document.querySelectorAll('body *:not(.skip, .hidden)')].filter((e) => {
    const box = e.getBoundingClientRect();
    return box.width > 0 && (box.right > document.documentElement.clientWidth + 1 || box.left < -1) && !scrolls(e);
  });
  return wide.concat(out.map((e) => e.tagName + '.' + e.getAttribute('class') + ' ' + e.textContent.slice(0, 30)));
})()";

/// Charts, graphs and pictures that cannot be seen.
const INVISIBLE: &str = "[...document.querySelectorAll('figure svg, figure svg path, figure svg text, img')].filter((e) => {
  const box = e.getBoundingClientRect();
  return !(box.width > 0 || box.height > 0) || (e.tagName === 'IMG' && !(e.complete && e.naturalWidth > 0));
}).map((e) => e.outerHTML.slice(0, 120))";

/// Texts whose contrast with what lies behind them is less than 4.5 to 1, the least for small text in WCAG 2.2.
const FAINT: &str = "(() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (e) => { for (; e; e = e.parentElement) { const c = rgba(getComputedStyle(e).backgroundColor); if (c[3] > 250) return c; } return [255, 255, 255, 255]; };
  const texts = [...document.querySelectorAll('main *, header *, nav *')].filter((e) => !e.closest('svg') && !e.matches('.nothing')
    && [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()));
  return texts.map((e) => {
    const [a, b] = [light(rgba(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x);
    return [(a + 0.05) / (b + 0.05), e.outerHTML.slice(0, 100)];
  }).filter(([contrast]) => contrast < 4.5);
})()";

const NOTHING: Value = Value::Array(Vec::new());

#[test]
#[ignore = "needs a Chromium; `make test-browser` fetches one"]
fn the_page_looks_right_at_every_width_in_light_and_dark() {
    let project = experiment();
    let runs = runs(&project);
    let mut browser = Browser::start();
    for (name, runs) in [("run", vec!["last"]), ("comparison", vec![runs[1].as_str(), runs[2].as_str()])] {
        report(&project, &runs);
        browser.look(1440, "light");
        browser.open(&project.path("report.html"));
        browser.evaluate("document.querySelectorAll('details').forEach((details) => { details.open = true; })");
        for width in [390, 1440] {
            for scheme in ["light", "dark"] {
                browser.look(width, scheme);
                let at = format!("{name} at {width} pixels, {scheme}");
                assert_eq!(browser.evaluate(OVERFLOWING), NOTHING, "{at}");
                assert_eq!(browser.evaluate(INVISIBLE), NOTHING, "{at}");
                assert_eq!(browser.evaluate(FAINT), NOTHING, "{at}");
                let paper = browser.evaluate("getComputedStyle(document.body).backgroundColor");
                assert_eq!(paper, if scheme == "light" { "rgb(255, 255, 255)" } else { "rgb(20, 23, 27)" }, "{at}");
                browser.keep_picture(&format!("{name}-{width}-{scheme}"));
            }
        }
    }
    assert_eq!(browser.complaints, Vec::<Value>::new());
}

#[test]
#[ignore = "needs a Chromium; `make test-browser` fetches one"]
fn tables_are_sorted_by_a_click_and_by_the_keyboard() {
    let project = experiment();
    report(&project, &[]);
    let mut browser = Browser::start();
    browser.look(1440, "light");
    browser.open(&project.path("report.html"));
    browser.evaluate("document.querySelectorAll('table.sortable').forEach((table, index) => { table.id = 'table-' + index; })");
    let table = browser.evaluate("[...document.querySelectorAll('table.sortable')].findIndex((t) => t.textContent.includes('recall'))");
    let table = format!("#table-{table}");
    let column = |browser: &mut Browser, index: usize| {
        let cells = format!("[...document.querySelectorAll('{table} tbody tr')].map((row) => row.cells[{index}].textContent)");
        let cells = browser.evaluate(&cells);
        cells.as_array().unwrap().iter().map(|cell| cell.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let order = |browser: &mut Browser| {
        browser.evaluate(&format!("[...document.querySelectorAll('{table} th[aria-sort]')].map((h) => h.ariaSort)"))
    };
    let names = column(&mut browser, 0);
    assert_eq!(order(&mut browser), json!(["none", "none", "none", "none", "none"]));

    browser.click(&format!("{table} thead th:nth-child(3) button"));
    assert_eq!(order(&mut browser), json!(["none", "none", "ascending", "none", "none"]));
    let recalls = |browser: &mut Browser| -> Vec<f64> {
        column(browser, 2).iter().map(|cell| cell.trim_end_matches(" %").parse().unwrap()).collect()
    };
    let rising = recalls(&mut browser);
    assert!(rising.is_sorted() && rising.first() < rising.last(), "{rising:?}");
    browser.click(&format!("{table} thead th:nth-child(3) button"));
    assert!(recalls(&mut browser).iter().rev().is_sorted());

    // Back to the first header, from the skip link's neighbours on, by the keyboard alone.
    browser.evaluate(&format!("document.querySelector('{table} thead th:nth-child(2) button').focus()"));
    browser.evaluate("new Promise((done) => setTimeout(done, 50))");
    browser.press("Tab", 9, "");
    browser.press("Tab", 9, "");
    let focused = browser.evaluate("[document.activeElement.textContent, document.activeElement.matches(':focus-visible'), getComputedStyle(document.activeElement).outlineStyle]");
    assert_eq!(focused, json!(["F1", true, "solid"]));
    browser.press("Enter", 13, "\r");
    assert_eq!(order(&mut browser), json!(["none", "none", "none", "ascending", "none"]));
    browser.click(&format!("{table} thead th:nth-child(1) button"));
    let mut sorted = names;
    sorted.sort_by_key(|name| name.trim_start_matches(|c: char| !c.is_alphanumeric()).to_lowercase());
    let mut found = column(&mut browser, 0);
    found.sort_by_key(|name| name.trim_start_matches(|c: char| !c.is_alphanumeric()).to_lowercase());
    assert_eq!(found, sorted);
    assert_eq!(order(&mut browser)[0], "ascending");

    browser.evaluate("document.activeElement.blur(); scrollTo(0, 0)");
    assert_eq!(browser.evaluate("document.querySelector('a').textContent"), "Skip to the results");
    assert_eq!(browser.complaints, Vec::<Value>::new());
}
