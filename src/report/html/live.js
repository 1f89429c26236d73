
// Takes the parts of the page that changed from the server, and puts them in the place of the old ones so that what the reader has
// opened, sorted, scrolled or focused stays so.
{
  const status = document.querySelector("#connection");
  const RETRY_AFTER = 2000;
  // The markup that each sortable table was made of.
  const sources = new WeakMap();

  const element = (markup) => {
    const holder = document.createElement("template");
    holder.innerHTML = markup;
    return holder.content.firstElementChild;
  };

  const renewTable = (old, fresh) => {
    const source = fresh.outerHTML;
    if (sources.get(old) === source) return;
    const headers = [...old.tHead.rows[0].cells];
    const sorted = headers.findIndex((header) => ["ascending", "descending"].includes(header.ariaSort));
    const order = headers[sorted]?.ariaSort;
    const focused = headers.findIndex((header) => header.contains(document.activeElement));
    old.replaceWith(fresh);
    sources.set(fresh, source);
    sortable(fresh);
    const button = (column) => fresh.tHead.rows[0].cells[column]?.querySelector("button");
    if (sorted >= 0) for (let times = order === "descending" ? 2 : 1; times > 0; times -= 1) button(sorted)?.click();
    if (focused >= 0) button(focused)?.focus();
  };

  const renewAttributes = (old, fresh) => {
    for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name) && name !== "open") old.removeAttribute(name);
    for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  };

  const isSame = (old, fresh) => old.nodeName === fresh.nodeName && (old.id ?? "") === (fresh.id ?? "");

  const renewChildren = (old, fresh) => {
    let next = old.firstChild;
    for (const child of [...fresh.childNodes]) {
      const named = child.id && [...old.children].find((other) => other.id === child.id && isSame(other, child));
      if (named && named !== next) old.insertBefore(named, next);
      const current = named || (next && isSame(next, child) ? next : null);
      if (current) {
        next = current.nextSibling;
        renew(current, child);
      } else {
        old.insertBefore(child, next);
        if (child.nodeType === Node.ELEMENT_NODE) [child, ...child.querySelectorAll("*")].filter((e) => e.matches("table.sortable")).forEach(sortable);
      }
    }
    while (next) {
      const gone = next;
      next = next.nextSibling;
      gone.remove();
    }
  };

  const renew = (old, fresh) => {
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    } else if (old.matches("table.sortable")) {
      renewTable(old, fresh);
    } else if (!old.isEqualNode(fresh)) {
      renewAttributes(old, fresh);
      renewChildren(old, fresh);
    }
  };

  const take = ({ data }) => {
    for (const { id, html } of JSON.parse(data)) {
      const [old, fresh] = [document.getElementById(id), element(html)];
      if (old && fresh) renew(old, fresh);
    }
  };

  const say = (text, isLost) => {
    if (status.textContent !== text) status.textContent = text;
    status.classList.toggle("lost", isLost);
  };

  const listen = (stream) => {
    const source = new EventSource(stream);
    source.addEventListener("open", () => say("live", false));
    source.addEventListener("parts", take);
    source.addEventListener("over", () => {
      source.close();
      say("", false);
    });
    source.addEventListener("error", () => {
      say("packtrain ui cannot be reached; trying again", true);
      // A browser tries again by itself after a lost connection, but not after an answer that is no stream.
      if (source.readyState === EventSource.CLOSED) setTimeout(() => listen(stream), RETRY_AFTER);
    });
  };

  if (document.body.dataset.stream) listen(document.body.dataset.stream);
}
