/** The organization's REST addresses, with the session cookie and its CSRF token; refusals carry the contract's code. */

/** A problem answer (RFC 9457), or `offline` where no answer came. */
export class Problem extends Error {
  constructor({ status = 0, code = "offline", detail = "", title = "", errors = {} }) {
    super(detail || title || "No answer from the server. Check the connection and try again");
    Object.assign(this, { status, code, errors });
  }
}

function csrfToken() {
  return document.cookie.match(/(?:^|;\s*)csrftoken=([^;]+)/)?.[1] ?? "";
}

export class Api {
  /** `onsignin()` is called when the session has ended. */
  constructor(slug, { onsignin }) {
    this.base = `/api/v1/tenants/${slug}`;
    this.onsignin = onsignin;
  }

  get(path, query = {}) {
    return this.#fetch("GET", this.#address(path, query));
  }

  post(path, body = {}, { key = null } = {}) {
    return this.#fetch("POST", this.#address(path), body, key ? { "Idempotency-Key": key } : {});
  }

  patch(path, body) {
    return this.#fetch("PATCH", this.#address(path), body);
  }

  delete(path) {
    return this.#fetch("DELETE", this.#address(path));
  }

  /** Every result of a list, page after page. */
  async all(path, query = {}) {
    const found = [];
    let page = await this.get(path, { limit: 100, ...query });
    found.push(...page.results);
    while (page.next) {
      const next = new URL(page.next, location.href);
      page = await this.#fetch("GET", next.pathname + next.search);
      found.push(...page.results);
    }
    return found;
  }

  /** My organizations: the one list that lies above this one. */
  organizations() {
    return this.#fetch("GET", "/api/v1/tenants/?limit=100");
  }

  #address(path, query = {}) {
    const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
    const search = new URLSearchParams(given).toString();
    return `${this.base}/${path}${search && `?${search}`}`;
  }

  async #fetch(method, address, body = null, headers = {}) {
    const changes = method !== "GET";
    const answer = await fetch(address, {
      method,
      headers: {
        Accept: "application/json",
        ...(body && { "Content-Type": "application/json" }),
        ...(changes && { "X-CSRFToken": csrfToken() }),
        ...headers,
      },
      body: body && JSON.stringify(body),
    }).catch(() => {
      throw new Problem({});
    });
    const text = await answer.text();
    const json = answer.headers.get("Content-Type")?.includes("json") ? JSON.parse(text) : null;
    if (answer.status === 401) this.onsignin();
    if (!answer.ok) throw new Problem({ status: answer.status, code: "internal", ...json });
    return json;
  }
}
