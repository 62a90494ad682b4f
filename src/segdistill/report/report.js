"use strict";
(() => {
  const find = (selector, within = document) => within.querySelector(selector);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  /* Theme: auto, light, dark; kept where the browser lets a file keep things. `?theme=dark` presets it. */
  const themes = ["auto", "light", "dark"];
  const kept = () => { try { return localStorage.getItem("segdistill-theme"); } catch { return null; } };
  const keep = (theme) => { try { localStorage.setItem("segdistill-theme", theme); } catch { /* not allowed here */ } };
  const button = find("#theme");
  let theme = [new URLSearchParams(location.search).get("theme"), kept()].find((name) => themes.includes(name)) ?? "auto";
  const show = () => {
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    find("span", button).textContent = theme;
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    theme = themes[(themes.indexOf(theme) + 1) % themes.length];
    keep(theme);
    show();
  });
  show();

  /* Copy the command line. */
  for (const copy of all(".copy")) {
    if (!navigator.clipboard) continue;
    copy.hidden = false;
    copy.addEventListener("click", async () => {
      await navigator.clipboard.writeText(find("code", copy.parentElement).textContent);
      copy.textContent = "Copied";
      setTimeout(() => { copy.textContent = "Copy"; }, 1500);
    });
  }

  /* Fields in pairs: each plot is one stop of the Tab key, arrow keys go from dot to dot in its order. */
  for (const plot of all(".paired figure")) {
    const dots = all(".field", plot);
    const about = find(".about", plot);
    const still = about.textContent;
    const stop = (dot) => { dots.forEach((each) => { each.setAttribute("tabindex", each === dot ? "0" : "-1"); }); };
    const tell = (dot) => { about.textContent = dot ? dot.getAttribute("aria-label") : still; };
    stop(dots[0]);
    dots.forEach((dot, place) => {
      dot.addEventListener("focus", () => { stop(dot); tell(dot); });
      dot.addEventListener("blur", () => tell(null));
      dot.addEventListener("pointerenter", () => tell(dot));
      dot.addEventListener("pointerleave", () => tell(null));
      dot.addEventListener("keydown", (event) => {
        const to = { ArrowLeft: place - 1, ArrowRight: place + 1, Home: 0, End: dots.length - 1 }[event.key];
        if (to === undefined || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
        dots[Math.max(0, Math.min(to, dots.length - 1))].focus();
        event.preventDefault();
        event.stopPropagation();
      });
    });
  }
  all(".keys").forEach((hint) => { hint.hidden = false; });

  /* Gallery: one case at a time, chosen by its small picture or the arrow keys. */
  const gallery = find("#gallery");
  if (!gallery) return;
  const cases = all(".case", gallery);
  const tabs = find(".tabs", gallery);
  const viewer = find("#viewer");
  let current = 0;
  let panel = 0;
  const around = (number, length) => (number + length) % length;
  const choose = (number) => {
    current = around(number, cases.length);
    cases.forEach((item, place) => { item.hidden = place !== current; });
    all(".tab", tabs).forEach((tab, place) => { tab.setAttribute("aria-pressed", String(place === current)); });
    const tab = tabs.children[current];
    tabs.scrollLeft = tab.offsetLeft - tabs.offsetLeft - (tabs.clientWidth - tab.clientWidth) / 2;
  };
  cases.forEach((item, place) => {
    const tab = document.createElement("button");
    tab.type = "button";
    tab.className = "tab";
    const picture = find("img", item);
    if (picture) {
      const small = document.createElement("img");
      small.src = picture.src;
      small.alt = "";
      tab.append(small);
    }
    tab.append(item.dataset.rank);
    tab.title = find(".name", item).textContent;
    tab.addEventListener("click", () => choose(place));
    tabs.append(tab);
  });
  tabs.hidden = false;
  choose(0);

  /* An address of a case shows it before the browser goes there, which it cannot while it is hidden. */
  const placeOf = (address) => cases.findIndex((item) => `#${item.id}` === address);
  document.addEventListener("click", (event) => {
    const place = placeOf(event.target.closest("a")?.getAttribute("href"));
    if (place >= 0) choose(place);
  });
  const follow = () => {
    const place = placeOf(location.hash);
    if (place < 0) return;
    choose(place);
    cases[place].scrollIntoView();
  };
  addEventListener("hashchange", follow);
  follow();

  /* One picture, enlarged. */
  const pictures = () => all("img", cases[current]).filter((image) => image.closest(".enlarge"));
  const enlarge = () => {
    const shown = pictures();
    if (!shown.length) return;
    panel = around(panel, shown.length);
    find("img", viewer).src = shown[panel].src;
    find("img", viewer).alt = shown[panel].alt;
    find("p", viewer).textContent = `${cases[current].dataset.rank} · ${shown[panel].alt}`;
    if (!viewer.open) viewer.showModal();
  };
  gallery.addEventListener("click", (event) => {
    const image = event.target.closest(".enlarge")?.querySelector("img");
    if (!image) return;
    panel = pictures().indexOf(image);
    enlarge();
  });
  viewer.addEventListener("click", (event) => {
    const go = event.target.closest("[data-go]");
    if (go) { panel += Number(go.dataset.go); enlarge(); } else viewer.close();
  });

  const inSight = () => {
    const box = gallery.getBoundingClientRect();
    return box.top < innerHeight * 0.8 && box.bottom > innerHeight * 0.2;
  };
  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const along = { ArrowLeft: -1, ArrowRight: 1 }[event.key] ?? 0;
    const across = { ArrowUp: -1, ArrowDown: 1 }[event.key] ?? 0;
    if (viewer.open) {
      if (!along && !across) return;
      if (across) choose(current + across);
      panel += along;
      enlarge();
    } else {
      if (!along || !inSight() || event.target.closest(".scroll")) return;
      choose(current + along);
    }
    event.preventDefault();
  });
})();
