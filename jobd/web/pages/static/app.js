// What pages need of scripts: times in the viewer's zone, news by themselves, buttons that act.
import { listen } from "./act.js";
import { bulk } from "./bulk.js";
import { copies } from "./copy.js";
import { follow } from "./live.js";
import { choose, showPlace } from "./choose.js";
import { filters } from "./filter.js";
import { news } from "./news.js";
import { keepTime } from "./times.js";
import { stacks } from "./stacks.js";

document.documentElement.classList.add("scripted");
keepTime();
choose();
showPlace();
listen();
copies();
filters();
bulk();
news();
stacks();
follow();
