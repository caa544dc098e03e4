/** @file The page's texts in English, German and French; the compiler makes sure that each language has all. */

const EN = {
  skip: "Skip to content",
  language: "Language",
  compare: "Compare",
  people: "People",
  who: "Who is this?",
  model: "Model",
  views: "Views",
  compareTitle: "Do two photographs show one person?",
  compareLead: "Add two photographs. They are sent to this server only, and are not kept.",
  first: "First photograph",
  second: "Second photograph",
  drop: "Drop a photograph here, or paste one",
  chooseFile: "Choose a file",
  useCamera: "Camera",
  another: "Replace",
  takePhoto: "Take photograph",
  cancel: "Cancel",
  close: "Close",
  cameraDenied: "The camera cannot be used. Allow it in the browser, or choose a file.",
  noPreview: "Your browser cannot show this kind of file; the server may still read it.",
  working: "Looking at the photograph…",
  waitTwo: "The answer appears here when both photographs are there.",
  same: "Probably the same person",
  different: "Probably different people",
  similarity: "Similarity {similarity}",
  thresholdIs: "Threshold {threshold}",
  scaleText: "Similarity {similarity} on a scale from {low} to {high}; the threshold is {threshold}.",
  farMeaning:
    "At this threshold about {count} of {of} pairs of different people are taken for one person (95 % interval: {low} to {high}).",
  strictness: "How rarely strangers may be taken for one person",
  oneIn: "1 in {n}",
  farLine: "They were measured on {dataset}: other people and cameras give other rates.",
  crops: "The faces as they were compared",
  severalFound: "{count} faces were found; the largest was taken.",
  quality: "Look at the photographs again",
  "warn.minScore": "The detector is unsure whether this is a face.",
  "warn.minEyeDistance": "The face is small.",
  "warn.maxYaw": "The head is turned aside.",
  "warn.maxPitch": "The head is bent up or down.",
  "warn.minSharpness": "The face is blurred.",
  "warn.minBrightness": "The face is dark.",
  "warn.maxBrightness": "The face is overexposed.",
  "warn.minContrast": "The face has little contrast.",
  "warn.minInside": "The face is cut off.",
  peopleTitle: "People of the gallery",
  peopleLead: "Everybody that this gallery can name. Enrol people only when they agreed.",
  noGallery: "This server has no gallery. Start it with --gallery.",
  search: "Search by name",
  addPerson: "Add a person",
  nobody: "Nobody is enrolled yet",
  nobodyLead:
    "Add a person with one or more photographs; several, taken on different days, are recognised better.",
  noMatchFor: "Nobody's name contains “{text}”.",
  facesCount: "{count} faces",
  oneFace: "1 face",
  noFace: "No face yet",
  more: "Show more",
  name: "Name",
  photographs: "Photographs",
  addPhotos: "Add photographs",
  keep: "Keep the photographs themselves, not only the numbers made from them",
  consent: "How did the person agree?",
  consentHint: "Such as: signed form of today. It is kept with the person.",
  save: "Save",
  enrol: "Enrol",
  rename: "Rename",
  merge: "Merge",
  mergeInto: "Merge into another person",
  mergeHint: "All faces move to that person, and {name} is removed.",
  choosePerson: "Choose a person",
  remove: "Delete",
  removePerson: "Delete this person",
  removeQuestion: "Delete {name} with all faces and kept photographs? This cannot be undone.",
  removeFaceQuestion: "Delete this face?",
  yesDelete: "Delete",
  enrolledOn: "Enrolled on {date}",
  notKept: "not kept",
  faceOf: "A face of {name}",
  enrolled: "Enrolled",
  known: "Was enrolled already",
  resembles: "Looks like {name}: one person under two names?",
  saved: "Saved",
  removed: "{name} was deleted.",
  whoTitle: "Who is on the photograph?",
  whoLead: "Every face is compared with everybody in the gallery.",
  photograph: "Photograph",
  live: "Live camera",
  stop: "Stop",
  fpir: "How rarely a stranger may be named",
  nobodyEnrolled: "Nobody enrolled",
  noFaceFound: "No face was found",
  noFaceLead: "Use a photograph that shows faces from the front, sharp and large enough.",
  facesFound: "{count} faces, {named} named",
  oneFaceFound: "1 face, {named} named",
  nearest: "Most alike",
  whoWait: "Names appear here.",
  extrapolated:
    "So low a rate was not measured for so many people; the threshold continues the measured ones.",
  comparedWith: "Compared with {count} people, threshold {threshold}",
  modelTitle: "What the model can and cannot tell",
  modelLead: "Move the threshold to see both kinds of errors.",
  threshold: "Threshold",
  far: "False accepts",
  farLong: "different people taken for one",
  frr: "False rejects",
  frrLong: "one person taken for two",
  oneInAbout: "about 1 in {n}",
  curve: "Error rates by threshold",
  curveText: "Both error rates over the threshold: false accepts fall and false rejects rise.",
  facts: "Facts",
  factModel: "Model",
  factLicence: "Licence of the weights",
  factTrained: "Trained on",
  factMeasured: "Measured on",
  factPairs: "Pairs",
  factNote: "Note",
  pairsText: "{positives} of one person, {negatives} of different people",
  notCalibrated: "This model was not measured, so it has no thresholds.",
  measuredBand: "Shaded: 95 % intervals. Dots: measured; lines between them are interpolated.",
  keyTitle: "This server wants a key",
  keyLead: "Ask who runs it for an API key. It is kept until you close this tab.",
  key: "API key",
  keyWrong: "The server does not accept this key.",
  "error.FACE_NOT_FOUND":
    "No face was found. Use a photograph that shows the face from the front, sharp and large enough.",
  "error.SEVERAL_FACES": "There are several faces on the photograph.",
  "error.IMAGE_UNREADABLE": "The file cannot be read as an image.",
  "error.FACE_UNFIT": "The face is not good enough to be compared.",
  "error.PERSON_EXISTS": "Somebody of that name is enrolled already.",
  "error.PERSON_NOT_FOUND": "The person is not there any more.",
  "error.PERSON_CHANGED": "Somebody else changed the person meanwhile. Look again.",
  "error.PERMISSION_DENIED": "Your key does not allow this.",
  "error.SERVER_UNREACHABLE": "The server does not answer.",
  "error.RESOURCE_EXHAUSTED": "The server is asked too often, or the file is too large.",
  "error.other": "It did not work: {message}",
} as const;

export type Word = keyof typeof EN;
type Words = Readonly<Record<Word, string>>;

const DE: Words = {
  skip: "Zum Inhalt",
  language: "Sprache",
  compare: "Vergleichen",
  people: "Personen",
  who: "Wer ist das?",
  model: "Modell",
  views: "Ansichten",
  compareTitle: "Zeigen zwei Fotos dieselbe Person?",
  compareLead: "Fügen Sie zwei Fotos hinzu. Sie gehen nur an diesen Server und werden nicht aufbewahrt.",
  first: "Erstes Foto",
  second: "Zweites Foto",
  drop: "Foto hierher ziehen oder einfügen",
  chooseFile: "Datei wählen",
  useCamera: "Kamera",
  another: "Ersetzen",
  takePhoto: "Foto aufnehmen",
  cancel: "Abbrechen",
  close: "Schließen",
  cameraDenied: "Die Kamera ist nicht verfügbar. Erlauben Sie sie im Browser oder wählen Sie eine Datei.",
  noPreview: "Ihr Browser kann diese Art Datei nicht anzeigen; der Server kann sie vielleicht lesen.",
  working: "Das Foto wird untersucht …",
  waitTwo: "Die Antwort erscheint hier, sobald beide Fotos da sind.",
  same: "Wahrscheinlich dieselbe Person",
  different: "Wahrscheinlich verschiedene Personen",
  similarity: "Ähnlichkeit {similarity}",
  thresholdIs: "Schwelle {threshold}",
  scaleText:
    "Ähnlichkeit {similarity} auf einer Skala von {low} bis {high}; die Schwelle liegt bei {threshold}.",
  farMeaning:
    "Bei dieser Schwelle gelten etwa {count} von {of} Paaren verschiedener Personen als dieselbe Person (95-%-Intervall: {low} bis {high}).",
  strictness: "Wie selten Fremde als dieselbe Person gelten dürfen",
  oneIn: "1 von {n}",
  farLine: "Gemessen auf {dataset}: andere Personen und Kameras ergeben andere Raten.",
  crops: "Die Gesichter, wie sie verglichen wurden",
  severalFound: "{count} Gesichter wurden gefunden; das größte wurde genommen.",
  quality: "Sehen Sie sich die Fotos noch einmal an",
  "warn.minScore": "Es ist unsicher, ob das ein Gesicht ist.",
  "warn.minEyeDistance": "Das Gesicht ist klein.",
  "warn.maxYaw": "Der Kopf ist zur Seite gedreht.",
  "warn.maxPitch": "Der Kopf ist nach oben oder unten geneigt.",
  "warn.minSharpness": "Das Gesicht ist unscharf.",
  "warn.minBrightness": "Das Gesicht ist dunkel.",
  "warn.maxBrightness": "Das Gesicht ist überbelichtet.",
  "warn.minContrast": "Das Gesicht hat wenig Kontrast.",
  "warn.minInside": "Das Gesicht ist angeschnitten.",
  peopleTitle: "Personen der Galerie",
  peopleLead: "Alle, die diese Galerie benennen kann. Nehmen Sie nur auf, wer zugestimmt hat.",
  noGallery: "Dieser Server hat keine Galerie. Starten Sie ihn mit --gallery.",
  search: "Nach Namen suchen",
  addPerson: "Person hinzufügen",
  nobody: "Noch niemand aufgenommen",
  nobodyLead:
    "Fügen Sie eine Person mit einem oder mehreren Fotos hinzu; mehrere von verschiedenen Tagen werden besser erkannt.",
  noMatchFor: "Kein Name enthält „{text}“.",
  facesCount: "{count} Gesichter",
  oneFace: "1 Gesicht",
  noFace: "Noch kein Gesicht",
  more: "Mehr anzeigen",
  name: "Name",
  photographs: "Fotos",
  addPhotos: "Fotos hinzufügen",
  keep: "Auch die Fotos selbst aufbewahren, nicht nur die daraus berechneten Zahlen",
  consent: "Wie hat die Person zugestimmt?",
  consentHint: "Etwa: Formular, heute unterschrieben. Es wird bei der Person aufbewahrt.",
  save: "Speichern",
  enrol: "Aufnehmen",
  rename: "Umbenennen",
  merge: "Zusammenführen",
  mergeInto: "Mit einer anderen Person zusammenführen",
  mergeHint: "Alle Gesichter gehen zu dieser Person, und {name} wird gelöscht.",
  choosePerson: "Person wählen",
  remove: "Löschen",
  removePerson: "Diese Person löschen",
  removeQuestion:
    "{name} mit allen Gesichtern und aufbewahrten Fotos löschen? Das lässt sich nicht rückgängig machen.",
  removeFaceQuestion: "Dieses Gesicht löschen?",
  yesDelete: "Löschen",
  enrolledOn: "Aufgenommen am {date}",
  notKept: "nicht aufbewahrt",
  faceOf: "Ein Gesicht von {name}",
  enrolled: "Aufgenommen",
  known: "War schon aufgenommen",
  resembles: "Sieht aus wie {name}: eine Person unter zwei Namen?",
  saved: "Gespeichert",
  removed: "{name} wurde gelöscht.",
  whoTitle: "Wer ist auf dem Foto?",
  whoLead: "Jedes Gesicht wird mit allen Personen der Galerie verglichen.",
  photograph: "Foto",
  live: "Live-Kamera",
  stop: "Anhalten",
  fpir: "Wie selten Fremde benannt werden dürfen",
  nobodyEnrolled: "Niemand aus der Galerie",
  noFaceFound: "Kein Gesicht gefunden",
  noFaceLead: "Nehmen Sie ein Foto, das Gesichter von vorn, scharf und groß genug zeigt.",
  facesFound: "{count} Gesichter, {named} benannt",
  oneFaceFound: "1 Gesicht, {named} benannt",
  nearest: "Am ähnlichsten",
  whoWait: "Hier erscheinen die Namen.",
  extrapolated:
    "Eine so niedrige Rate wurde für so viele Personen nicht gemessen; die Schwelle setzt die gemessenen fort.",
  comparedWith: "Verglichen mit {count} Personen, Schwelle {threshold}",
  modelTitle: "Was das Modell kann und was nicht",
  modelLead: "Verschieben Sie die Schwelle, um beide Arten von Fehlern zu sehen.",
  threshold: "Schwelle",
  far: "Falsche Annahmen",
  farLong: "verschiedene Personen für eine gehalten",
  frr: "Falsche Ablehnungen",
  frrLong: "eine Person für zwei gehalten",
  oneInAbout: "etwa 1 von {n}",
  curve: "Fehlerraten nach Schwelle",
  curveText: "Beide Fehlerraten über der Schwelle: falsche Annahmen fallen, falsche Ablehnungen steigen.",
  facts: "Fakten",
  factModel: "Modell",
  factLicence: "Lizenz der Gewichte",
  factTrained: "Trainiert mit",
  factMeasured: "Gemessen mit",
  factPairs: "Paare",
  factNote: "Hinweis",
  pairsText: "{positives} derselben Person, {negatives} verschiedener Personen",
  notCalibrated: "Dieses Modell wurde nicht gemessen und hat daher keine Schwellen.",
  measuredBand: "Schattiert: 95-%-Intervalle. Punkte: gemessen; Linien dazwischen sind interpoliert.",
  keyTitle: "Dieser Server verlangt einen Schlüssel",
  keyLead:
    "Fragen Sie den Betreiber nach einem API-Schlüssel. Er wird behalten, bis Sie diesen Tab schließen.",
  key: "API-Schlüssel",
  keyWrong: "Der Server nimmt diesen Schlüssel nicht an.",
  "error.FACE_NOT_FOUND":
    "Kein Gesicht gefunden. Nehmen Sie ein Foto, das das Gesicht von vorn, scharf und groß genug zeigt.",
  "error.SEVERAL_FACES": "Auf dem Foto sind mehrere Gesichter.",
  "error.IMAGE_UNREADABLE": "Die Datei lässt sich nicht als Bild lesen.",
  "error.FACE_UNFIT": "Das Gesicht ist nicht gut genug für einen Vergleich.",
  "error.PERSON_EXISTS": "Jemand mit diesem Namen ist schon aufgenommen.",
  "error.PERSON_NOT_FOUND": "Die Person ist nicht mehr da.",
  "error.PERSON_CHANGED": "Die Person wurde inzwischen geändert. Sehen Sie noch einmal nach.",
  "error.PERMISSION_DENIED": "Ihr Schlüssel erlaubt das nicht.",
  "error.SERVER_UNREACHABLE": "Der Server antwortet nicht.",
  "error.RESOURCE_EXHAUSTED": "Der Server wird zu oft gefragt, oder die Datei ist zu groß.",
  "error.other": "Es hat nicht funktioniert: {message}",
};

const FR: Words = {
  skip: "Aller au contenu",
  language: "Langue",
  compare: "Comparer",
  people: "Personnes",
  who: "Qui est-ce ?",
  model: "Modèle",
  views: "Vues",
  compareTitle: "Deux photos montrent-elles la même personne ?",
  compareLead: "Ajoutez deux photos. Elles ne vont qu’à ce serveur et ne sont pas conservées.",
  first: "Première photo",
  second: "Deuxième photo",
  drop: "Déposez une photo ici ou collez-la",
  chooseFile: "Choisir un fichier",
  useCamera: "Caméra",
  another: "Remplacer",
  takePhoto: "Prendre la photo",
  cancel: "Annuler",
  close: "Fermer",
  cameraDenied: "La caméra n’est pas disponible. Autorisez-la dans le navigateur ou choisissez un fichier.",
  noPreview: "Votre navigateur ne peut pas afficher ce type de fichier ; le serveur peut peut-être le lire.",
  working: "Examen de la photo…",
  waitTwo: "La réponse apparaît ici dès que les deux photos sont là.",
  same: "Probablement la même personne",
  different: "Probablement deux personnes différentes",
  similarity: "Similarité {similarity}",
  thresholdIs: "Seuil {threshold}",
  scaleText: "Similarité {similarity} sur une échelle de {low} à {high} ; le seuil est à {threshold}.",
  farMeaning:
    "À ce seuil, environ {count} paires de personnes différentes sur {of} sont prises pour une seule personne (intervalle à 95 % : {low} à {high}).",
  strictness: "À quel point des inconnus peuvent rarement être confondus",
  oneIn: "1 sur {n}",
  farLine: "Mesuré sur {dataset} : d’autres personnes et caméras donnent d’autres taux.",
  crops: "Les visages tels qu’ils ont été comparés",
  severalFound: "{count} visages ont été trouvés ; le plus grand a été pris.",
  quality: "Regardez encore les photos",
  "warn.minScore": "Il n’est pas sûr que ce soit un visage.",
  "warn.minEyeDistance": "Le visage est petit.",
  "warn.maxYaw": "La tête est tournée de côté.",
  "warn.maxPitch": "La tête est penchée vers le haut ou le bas.",
  "warn.minSharpness": "Le visage est flou.",
  "warn.minBrightness": "Le visage est sombre.",
  "warn.maxBrightness": "Le visage est surexposé.",
  "warn.minContrast": "Le visage a peu de contraste.",
  "warn.minInside": "Le visage est coupé.",
  peopleTitle: "Personnes de la galerie",
  peopleLead: "Toutes celles que cette galerie peut nommer. N’enregistrez que des personnes qui ont accepté.",
  noGallery: "Ce serveur n’a pas de galerie. Démarrez-le avec --gallery.",
  search: "Chercher par nom",
  addPerson: "Ajouter une personne",
  nobody: "Personne n’est encore enregistré",
  nobodyLead:
    "Ajoutez une personne avec une ou plusieurs photos ; plusieurs, prises à des jours différents, sont mieux reconnues.",
  noMatchFor: "Aucun nom ne contient « {text} ».",
  facesCount: "{count} visages",
  oneFace: "1 visage",
  noFace: "Pas encore de visage",
  more: "Afficher plus",
  name: "Nom",
  photographs: "Photos",
  addPhotos: "Ajouter des photos",
  keep: "Conserver aussi les photos, pas seulement les nombres qui en sont tirés",
  consent: "Comment la personne a-t-elle accepté ?",
  consentHint: "Par exemple : formulaire signé aujourd’hui. C’est conservé avec la personne.",
  save: "Enregistrer",
  enrol: "Enregistrer",
  rename: "Renommer",
  merge: "Fusionner",
  mergeInto: "Fusionner avec une autre personne",
  mergeHint: "Tous les visages passent à cette personne, et {name} est supprimé.",
  choosePerson: "Choisir une personne",
  remove: "Supprimer",
  removePerson: "Supprimer cette personne",
  removeQuestion: "Supprimer {name} avec tous ses visages et photos conservées ? C’est irréversible.",
  removeFaceQuestion: "Supprimer ce visage ?",
  yesDelete: "Supprimer",
  enrolledOn: "Enregistré le {date}",
  notKept: "non conservée",
  faceOf: "Un visage de {name}",
  enrolled: "Enregistrée",
  known: "Déjà enregistrée",
  resembles: "Ressemble à {name} : une personne sous deux noms ?",
  saved: "Enregistré",
  removed: "{name} a été supprimé.",
  whoTitle: "Qui est sur la photo ?",
  whoLead: "Chaque visage est comparé à toutes les personnes de la galerie.",
  photograph: "Photo",
  live: "Caméra en direct",
  stop: "Arrêter",
  fpir: "À quel point un inconnu peut rarement être nommé",
  nobodyEnrolled: "Personne d’enregistré",
  noFaceFound: "Aucun visage trouvé",
  noFaceLead: "Prenez une photo qui montre les visages de face, nets et assez grands.",
  facesFound: "{count} visages, {named} nommés",
  oneFaceFound: "1 visage, {named} nommé",
  nearest: "Les plus ressemblants",
  whoWait: "Les noms apparaissent ici.",
  extrapolated:
    "Un taux aussi bas n’a pas été mesuré pour autant de personnes ; le seuil prolonge les mesures.",
  comparedWith: "Comparé à {count} personnes, seuil {threshold}",
  modelTitle: "Ce que le modèle sait et ne sait pas",
  modelLead: "Déplacez le seuil pour voir les deux sortes d’erreurs.",
  threshold: "Seuil",
  far: "Fausses acceptations",
  farLong: "personnes différentes prises pour une",
  frr: "Faux rejets",
  frrLong: "une personne prise pour deux",
  oneInAbout: "environ 1 sur {n}",
  curve: "Taux d’erreur selon le seuil",
  curveText:
    "Les deux taux d’erreur selon le seuil : les fausses acceptations baissent, les faux rejets montent.",
  facts: "Faits",
  factModel: "Modèle",
  factLicence: "Licence des poids",
  factTrained: "Entraîné sur",
  factMeasured: "Mesuré sur",
  factPairs: "Paires",
  factNote: "Remarque",
  pairsText: "{positives} d’une même personne, {negatives} de personnes différentes",
  notCalibrated: "Ce modèle n’a pas été mesuré, il n’a donc pas de seuils.",
  measuredBand: "Ombré : intervalles à 95 %. Points : mesurés ; les lignes entre eux sont interpolées.",
  keyTitle: "Ce serveur demande une clé",
  keyLead:
    "Demandez une clé d’API à la personne qui le gère. Elle est gardée jusqu’à la fermeture de l’onglet.",
  key: "Clé d’API",
  keyWrong: "Le serveur n’accepte pas cette clé.",
  "error.FACE_NOT_FOUND":
    "Aucun visage trouvé. Prenez une photo qui montre le visage de face, net et assez grand.",
  "error.SEVERAL_FACES": "Il y a plusieurs visages sur la photo.",
  "error.IMAGE_UNREADABLE": "Le fichier ne peut pas être lu comme image.",
  "error.FACE_UNFIT": "Le visage n’est pas assez bon pour être comparé.",
  "error.PERSON_EXISTS": "Une personne de ce nom est déjà enregistrée.",
  "error.PERSON_NOT_FOUND": "La personne n’est plus là.",
  "error.PERSON_CHANGED": "Quelqu’un a changé la personne entre-temps. Regardez encore.",
  "error.PERMISSION_DENIED": "Votre clé ne le permet pas.",
  "error.SERVER_UNREACHABLE": "Le serveur ne répond pas.",
  "error.RESOURCE_EXHAUSTED": "Le serveur est trop sollicité, ou le fichier est trop grand.",
  "error.other": "Cela n’a pas marché : {message}",
};

export const LANGUAGES = { en: "English", de: "Deutsch", fr: "Français" } as const;
export type Language = keyof typeof LANGUAGES;

export const WORDS: Readonly<Record<Language, Words>> = { en: EN, de: DE, fr: FR };

const STORED = "faceid.language";
const isLanguage = (text: string | null | undefined): text is Language =>
  text !== null && text !== undefined && Object.hasOwn(LANGUAGES, text);

function firstLanguage(): Language {
  try {
    const stored = localStorage.getItem(STORED);
    if (isLanguage(stored)) return stored;
  } catch {
    // A browser may forbid storage.
  }
  return navigator.languages.map((each) => each.slice(0, 2)).find(isLanguage) ?? "en";
}

let language: Language = "en";

/** Takes the language that was chosen before, or the browser's. */
export function startLanguage(): void {
  useLanguage(firstLanguage());
}

export function useLanguage(chosen: Language): void {
  language = chosen;
  document.documentElement.lang = chosen;
}

/** Chooses a language for later visits too. */
export function chooseLanguage(chosen: string): void {
  if (!isLanguage(chosen)) return;
  useLanguage(chosen);
  try {
    localStorage.setItem(STORED, chosen);
  } catch {
    // A browser may forbid storage.
  }
}

export const currentLanguage = (): Language => language;

/** A text in the language, with its places filled in. */
export function t(word: Word, values: Readonly<Record<string, string | number>> = {}): string {
  return WORDS[language][word].replaceAll(/\{(\w+)\}/g, (place, name: string) =>
    String(values[name] ?? place),
  );
}

export const isWord = (text: string): text is Word => Object.hasOwn(EN, text);

/** A number as the language writes it. */
export const number = (value: number, digits = 2): string =>
  new Intl.NumberFormat(language, { maximumFractionDigits: digits, minimumFractionDigits: digits }).format(
    value,
  );

/** A count, or a number of few digits. */
export const count = (value: number, significant?: number): string =>
  new Intl.NumberFormat(
    language,
    significant === undefined ? {} : { maximumSignificantDigits: significant },
  ).format(value);

/** A share in percent, of two significant digits. */
export const percent = (value: number): string =>
  new Intl.NumberFormat(language, { style: "percent", maximumSignificantDigits: 2 }).format(value);

export const day = (iso: string): string =>
  new Intl.DateTimeFormat(language, { dateStyle: "medium" }).format(new Date(iso));
