// Validates Kubernetes objects against the API's schemas: reads a JSON array of objects from standard input, and prints
// a JSON array with the faults of each as strings.
//
//   node validate.mjs PACKAGES_DIRECTORY/node_modules
//
// The schemas are npm's kubernetes-models, compiled to functions. These ignore unknown fields, as JSON Schema does. A function
// reads each field that its schema names, and enumerates maps with free keys; so a field that it never read is unknown.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const packages = process.argv[2];
const homes = [join(packages, "kubernetes-models"), join(packages, "@kubernetes-models", "prometheus-operator")];

async function validatorOf({ apiVersion, kind }) {
  const file = homes.map((home) => join(home, String(apiVersion), `${kind}.js`)).find(existsSync);
  return file && (await import(pathToFileURL(file)))[kind].prototype.validate;
}

// A view of a value that adds to `read` the path of each field that is read through it.
function watched(value, path, read) {
  if (value === null || typeof value !== "object") return value;
  return new Proxy(value, {
    get(target, name) {
      if (typeof name === "symbol" || !Object.hasOwn(target, name)) return Reflect.get(target, name);
      read.add(`${path}/${name}`);
      return watched(target[name], `${path}/${name}`, read);
    },
  });
}

// The paths of all fields in objects. Those of unread objects are left out: the object itself is reported.
function unreadFields(value, path, read) {
  if (value === null || typeof value !== "object") return [];
  return Object.entries(value).flatMap(([name, inner]) => {
    const at = `${path}/${name}`;
    return read.has(at) ? unreadFields(inner, at, read) : [`${at}: unknown field`];
  });
}

async function faultsOf(object) {
  const validate = await validatorOf(object);
  if (!validate) return [`there is no ${object.kind} in ${object.apiVersion}`];
  const read = new Set();
  try {
    validate.call(watched(object, "", read));
  } catch (error) {
    if (!error.errors) throw error;
    return error.errors.map(({ instancePath, message }) => `${instancePath}: ${message}`);
  }
  return unreadFields(object, "", read);
}

const objects = JSON.parse(readFileSync(0, "utf8"));
console.log(JSON.stringify(await Promise.all(objects.map(faultsOf))));
