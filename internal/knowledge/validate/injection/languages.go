package injection

import (
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// tongue is what an instruction to forget one's instructions is made of in a language, as expressions over folded text.
type tongue struct {
	name    string
	ignore  string // verbs
	earlier string // what was before, or yours
	told    string // instructions
	last    bool   // the verb comes last
	spaces  bool   // words are set apart
	reveal  string // asks for the system prompt; whole expression
	secret  string // do not tell the user; whole expression
	persona string // you are now, from now on; whole expression
	cue     string // literals, one of which is in each match of the whole expressions
}

var tongues = []tongue{
	{
		name: "German", cue: `alles|systemnachricht|systemprompt|system-prompt|systemanweis|deine|nutzer|anwender|du bist|ab jetzt|ab sofort|verhalte dich`, spaces: true, ignore: `ignorier\w*|vergiss|vergesst|vergessen sie|missachte\w*|uberschreib\w*|befolge nicht|beachte nicht|verwirf`,
		earlier: `vorherig\w*|vorangegangen\w*|vorig\w*|bisherig\w*|obig\w*|fruher\w*|vorhergehend\w*|ursprunglich\w*|deine\w*|alle\w*|system\w*`,
		told:    `anweisung\w*|instruktion\w*|befehl\w*|vorgaben|regeln|richtlinien|prompts?|systemprompts?|anleitung\w*`,
		reveal:  `\b(?:zeig\w*|verrat\w*|gib|nenn\w*|offenbar\w*|wiederhol\w*|schreib\w*)\b[^.!?]{0,40}\b(?:system-?prompt|system-?anweisung\w*|deine (?:\w+ )?(?:anweisungen|instruktionen))`,
		secret:  `\b(?:sag\w*|erzahl\w*|verrat\w*|informier\w*|erwahn\w*|teil\w*)\b[^.!?]{0,40}\b(?:nutzer|benutzer|anwender|user)\w*[^.!?]{0,30}\b(?:nichts|nicht)\b`,
		persona: `\b(?:ignorier\w*|vergiss|vergesst|missachte\w*)\b[^.!?]{0,15}\b(?:alles|systemnachricht|system-?prompt)\b[^.!?]{0,40}(?:vorher|zuvor|bisher|oben|davor|system)|\bdu bist (?:jetzt|ab jetzt|nun|ab sofort) (?:ein\w*|der|die|das|nicht mehr|frei)\b|\bab (?:jetzt|sofort) (?:antworte\w*|bist du|musst du|wirst du|ignorier\w*)|\bverhalte dich (?:wie|als)\b[^.!?]{0,30}(?:ki|assistent|einschrankung)`,
	},
	{
		name: "French", cue: `tout ce qu|systeme|utilisateur|usager|tu es|vous etes|desormais|a partir de maintenant`, spaces: true, ignore: `ignore[rz]?|oublie[rz]?|neglige[rz]?|ne (?:suis|suivez) (?:pas|plus)|ne tiens? pas compte|ne tenez pas compte|outrepasse[rz]?|fais abstraction`,
		earlier: `precedente?s?|anterieure?s?|ci-dessus|initiales?|d'avant|tes|vos|toutes?|systeme|prealables?|recues?`,
		told:    `instructions?|consignes?|directives?|ordres?|regles|prompts?|invites?`,
		reveal:  `\b(?:revele[rz]?|affiche[rz]?|montre[rz]?|donne[rz]?|repete[rz]?|divulgue[rz]?|ecri[st]|ecrivez)\b[^.!?]{0,40}\b(?:prompt systeme|invite systeme|instructions? systeme|message systeme|(?:tes|vos) (?:\w+ )?(?:instructions|consignes))`,
		secret:  `\bn(?:e |')(?:le |la |lui |en )?(?:dis|dites|informe[rz]?|previens|prevenez|mentionne[rz]?|revele[rz]?|avertis|parle[rz]?)\b[^.!?]{0,30}\b(?:utilisateurs?|usagers?)\b`,
		persona: `\b(?:ignore[rz]?|oublie[rz]?|neglige[rz]?)\b[^.!?]{0,15}\b(?:(?:message|prompt) systeme|tout ce qui (?:precede|a ete dit)|tout ce que)|\b(?:tu es|vous etes) (?:maintenant|desormais) (?:un|une|le|la|libre|sans)\b|\b(?:desormais|a partir de maintenant),? (?:tu|vous|reponds|repondez|ignore)`,
	},
	{
		name: "Spanish", cue: `todo lo|del sistema|de sistema|tus|usuari|ahora eres|a partir de ahora|de ahora en adelante`, spaces: true, ignore: `ignor(?:a|e|ar|en|ad)|olvid(?:a|e|ar|en|ad)|descart(?:a|e|ar)|omit(?:e|ir|a)|no sigas|no siga|haz caso omiso(?: de)?|desobedec(?:e|er)|pasa por alto`,
		earlier: `anterior(?:es)?|previ[ao]s?|de arriba|iniciales|originales|tus|sus|todas?|todos|del sistema|precedentes`,
		told:    `instrucci(?:on|ones)|indicaciones|ordenes|reglas|directrices|directivas|prompts?|mensajes? del sistema`,
		reveal:  `\b(?:revela|muestra|muestrame|dime|repite|imprime|dame|escribe|divulga)\b[^.!?]{0,40}\b(?:prompt del sistema|instrucciones del sistema|mensaje del sistema|tus (?:\w+ )?instrucciones|prompt de sistema)`,
		secret:  `\bno (?:se )?(?:lo )?(?:le )?(?:digas|diga|informes|informe|menciones|mencione|reveles|revele|cuentes|avises|avise)\b[^.!?]{0,30}\busuari[oa]s?\b`,
		persona: `\b(?:ignora|ignore|olvida|olvide)\b[^.!?]{0,15}\b(?:(?:mensaje|prompt) (?:del|de) sistema|todo lo (?:anterior|que|dicho))|\bahora eres (?:un|una|el|la|libre|dan)\b|\b(?:a partir de ahora|de ahora en adelante),? (?:eres|responde|debes|ignora|actua|siempre|seras)`,
	},
	{
		name: "Portuguese", cue: `tudo|do sistema|suas|usuari|voce agora|agora voce|agora es|a partir de agora|de agora em diante`, spaces: true, ignore: `ignor(?:e|a|ar|em)|esquec(?:a|e|er|am)|desconsider(?:e|a|ar)|desobede[cç](?:a|er)|nao siga|descart(?:e|a|ar)`,
		earlier: `anterior(?:es)?|previ[ao]s?|acima|iniciais|originais|suas?|todas?|todos|do sistema|precedentes`,
		told:    `instruc(?:ao|oes)|orientacoes|ordens|regras|diretrizes|comandos|prompts?`,
		reveal:  `\b(?:revele|mostre|diga|repita|imprima|exiba|escreva|divulgue)\b[^.!?]{0,40}\b(?:prompt do sistema|instrucoes do sistema|mensagem do sistema|suas (?:\w+ )?instrucoes)`,
		secret:  `\bnao (?:o )?(?:diga|conte|informe|mencione|revele|avise|fale)\b[^.!?]{0,30}\busuari[oa]s?\b`,
		persona: `\b(?:ignore|ignora|esqueca|desconsidere)\b[^.!?]{0,15}\b(?:(?:mensagem|prompt) (?:do|de) sistema|tudo (?:acima|o que|que))|\b(?:voce agora e|agora voce e|agora es) (?:um|uma|o|a|livre)\b|\b(?:a partir de agora|de agora em diante),? (?:voce|responda|ignore|sempre|aja)`,
	},
	{
		name: "Italian", cue: `tutto|di sistema|tue|utent|ora sei|adesso sei|sei ora|d'ora in poi|da ora in poi|da adesso`, spaces: true, ignore: `ignor(?:a|i|are|ate)|dimentic(?:a|hi|are|ate)|trascur(?:a|are)|non seguire|non considerare|tralascia|scarta`,
		earlier: `precedent[ei]|anterior[ei]|sopra|inizial[ei]|originali|tue|tuoi|tutt[ei]|di sistema|del sistema`,
		told:    `istruzion[ei]|indicazioni|ordini|regole|direttive|comandi|prompt`,
		reveal:  `\b(?:rivela|mostra|mostrami|dimmi|ripeti|stampa|scrivi|divulga)\b[^.!?]{0,40}\b(?:prompt di sistema|istruzioni di sistema|messaggio di sistema|tue (?:\w+ )?istruzioni)`,
		secret:  `\bnon (?:lo )?(?:dire|informare|menzionare|rivelare|avvisare|dirlo)\b[^.!?]{0,30}\butent[ei]\b`,
		persona: `\b(?:ignora|ignorate|dimentica|dimenticate)\b[^.!?]{0,15}\b(?:(?:messaggio|prompt) di sistema|tutto (?:quanto|cio|quello))|\b(?:ora sei|adesso sei|sei ora) (?:un|una|il|la|libero)\b|\b(?:d'ora in poi|da ora in poi|da adesso),? (?:sei|rispondi|devi|ignora|agisci|sempre)`,
	},
	{
		name: "Dutch", cue: `systeem|gebruiker|je bent|vanaf nu`, spaces: true, ignore: `negeer|vergeet|negeren|volg niet|sla over|minacht`,
		earlier: `vorige|eerdere|voorgaande|bovenstaande|oorspronkelijke|alle|je|jouw|uw`,
		told:    `instructies?|aanwijzingen|opdrachten|regels|richtlijnen|prompts?|bevelen`,
		reveal:  `\b(?:toon|onthul|laat|geef|herhaal|schrijf)\b[^.!?]{0,40}\b(?:systeemprompt|systeeminstructies|jouw instructies|je instructies)`,
		secret:  `\b(?:vertel|zeg|meld|informeer|vermeld)\b[^.!?]{0,30}\bgebruikers?\b[^.!?]{0,20}\b(?:niet|niets)\b|\b(?:vertel|zeg|meld|vermeld) (?:dit|het|dat) niet\b[^.!?]{0,20}\bgebruiker`,
		persona: `\bje bent (?:nu|vanaf nu) (?:een|de|vrij)\b|\bvanaf nu,? (?:ben je|antwoord|moet je|negeer)`,
	},
	{
		name: "Polish", cue: `systemow|uzytkownik|jestes teraz|od teraz`, spaces: true, ignore: `zignoruj|ignoruj|zapomnij|pomin|nie przestrzegaj|odrzuc|zlekcewaz`,
		earlier: `poprzedni\w*|wczesniejsz\w*|powyzsz\w*|wszystki\w*|swoj\w*|twoj\w*|systemow\w*`,
		told:    `instrukcj\w*|polece\w*|wytyczn\w*|zasad\w*|rozkaz\w*|prompt\w*`,
		reveal:  `\b(?:ujawnij|pokaz|powtorz|wyswietl|podaj|wypisz)\b[^.!?]{0,40}\b(?:prompt\w* systemow\w*|instrukcj\w* systemow\w*|swoje instrukcje)`,
		secret:  `\bnie (?:mow|informuj|wspominaj|ujawniaj|powiadamiaj)\b[^.!?]{0,30}\buzytkownik\w*`,
		persona: `\bjestes teraz\b|\bod teraz,? (?:jestes|odpowiadaj|ignoruj|musisz)`,
	},
	{
		name: "Turkish", cue: `sistem|kullanici|artik|bundan sonra`, spaces: true, last: true, ignore: `yok say\w*|gormezden gel\w*|unut\w*|dikkate alma\w*|goz ardi et\w*`,
		earlier: `onceki|yukaridaki|daha onceki|tum|butun|ilk|sistem`,
		told:    `talimat\w*|komut\w*|yonerge\w*|kural\w*|emir\w*|istem\w*`,
		reveal:  `\bsistem (?:istem|talimat|mesaj|prompt)\w*[^.!?]{0,30}\b(?:goster|acikla|yaz|tekrarla|paylas)`,
		secret:  `\bkullanici\w*[^.!?]{0,30}\b(?:soyleme|bildirme|bahsetme|haber verme)`,
		persona: `\bartik (?:sen )?bir\b[^.!?]{0,40}\b(?:sin|yapay zeka|asistan)|\bbundan sonra\b[^.!?]{0,20}\b(?:cevap ver|yanitla|sen)`,
	},
	{
		name: "Swedish", cue: `system|anvandar|du ar nu|fran och med nu`, spaces: true, ignore: `ignorera|glom|bortse fran|strunta i|folj inte`,
		earlier: `tidigare|foregaende|ovanstaende|alla|dina|ursprungliga`,
		told:    `instruktion\w*|anvisning\w*|regler|riktlinjer|prompt\w*|order`,
		reveal:  `\b(?:visa|avsloja|upprepa|skriv)\b[^.!?]{0,40}\b(?:systemprompt\w*|systeminstruktion\w*|dina instruktioner)`,
		secret:  `\b(?:beratta|namn|informera|sag)\b[^.!?]{0,20}\binte\b[^.!?]{0,30}\banvandar\w*`,
		persona: `\bdu ar nu (?:en|ett|fri)\b|\bfran och med nu,? (?:ska du|svara|ignorera)`,
	},
	{
		name: "Russian", cue: `все, что|все что|системн|инструкции|пользовател|теперь|отныне|с этого момента`, spaces: true, ignore: `игнорируй\w*|проигнорируй\w*|забудь\w*|не следуй\w*|отбрось\w*|отмени\w*|не обращай\w* внимания`,
		earlier: `предыдущ\w*|прежн\w*|прошл\w*|вышеуказанн\w*|выше|все|всех|свои|твои|исходн\w*|системн\w*`,
		told:    `инструкци\w*|указани\w*|команд\w*|правил\w*|директив\w*|промпт\w*|подсказк\w*`,
		reveal:  `(?:покажи|раскрой|выведи|повтори|напечатай|сообщи)[^.!?]{0,60}(?:системн\w* (?:промпт|подсказк|инструкци|сообщени)|свои инструкции|твои инструкции)`,
		secret:  `не (?:говори|сообщай|рассказывай|упоминай|раскрывай|уведомляй)[^.!?]{0,50}пользовател`,
		persona: `(?:игнорируй\w*|забудь\w*|не выполняй\w*|не следуй\w*)[^.!?]{0,30}(?:системн\w* (?:инструкци|сообщени|промпт|подсказк|указани)|все,? что)|(?:теперь ты|ты теперь|отныне ты)(?:[ -]|$)|с этого момента,? (?:ты|отвечай|игнорируй)`,
	},
	{
		name: "Ukrainian", cue: `системн|користувач`, spaces: true, ignore: `ігноруй\w*|проігноруй\w*|забудь\w*|не виконуй\w*|не дотримуйся`,
		earlier: `попередн\w*|всі|усі|вище\w*|свої|твої|системн\w*|початков\w*`,
		told:    `інструкці\w*|вказівк\w*|команд\w*|правил\w*|промпт\w*`,
		reveal:  `(?:покажи|розкрий|виведи|повтори)[^.!?]{0,60}системн\w* (?:промпт|інструкці|повідомленн)`,
		secret:  `не (?:кажи|повідомляй|розповідай|згадуй)[^.!?]{0,50}користувач`,
	},
	{
		name: "Chinese", cue: `设定|系统|系統|用户|用戶|使用者|你的|提示|初始|现在|現在`, ignore: `忽略|无视|無視|忘记|忘記|忘掉|不要遵循|不要遵守|不要理会|不要理會|覆盖|绕过|抛开|忽視|忽视`,
		earlier: `之前|以前|先前|前面|上面|以上|上述|此前|所有|全部|任何|你的|您的|原来|原有|系统|系統`,
		told:    `指令|指示|提示词|提示詞|提示|命令|规则|規則|说明|設定|设定|要求|约束`,
		reveal:  `(?:显示|顯示|告诉|告訴|透露|输出|輸出|打印|重复|重複|泄露|展示|公开)[^。！？]{0,15}(?:系统提示|系統提示|系统指令|系統指令|你的指令|你的提示|提示词|初始指令)`,
		secret:  `(?:不要|不得|切勿|别|請勿|请勿|不能)(?:将此|把这|把此|把這)?(?:告诉|告訴|告知|通知|向|提示|让|讓)[^。！？]{0,10}(?:用户|用戶|使用者)`,
		persona: `(?:忽略|无视|無視|忘记|忘記|忘掉)[^。！？]{0,6}(?:你的(?:设定|設定|身份|规则|限制)|系统(?:消息|提示|指令)|系統(?:訊息|提示|指令))|(?:你现在是|你現在是|现在你是|從現在起你|从现在起你|从现在开始,?你|從現在開始,?你)`,
	},
	{
		name: "Japanese", cue: `システム|ユーザ|利用者|あなた|今から|これから|初期`, last: true, ignore: `無視|忘れ|従わない|破棄|無効に|従うな`,
		earlier: `以前の|前の|上記の|これまでの|今までの|すべての|全ての|以上の|先ほどの|最初の|システム|元の`,
		told:    `指示|命令|プロンプト|ルール|規則|指令|設定|制約`,
		reveal:  `(?:システムプロンプト|システム指示|システムメッセージ|初期指示|あなたの指示)[^。！？]{0,12}(?:表示|教え|出力|開示|見せ|公開|繰り返)`,
		secret:  `(?:ユーザー?|利用者)(?:に|には)[^。！？]{0,15}(?:言わない|伝えない|知らせない|教えない|話さない|報告しない|通知しない)`,
		persona: `(?:あなたは今から|今からあなたは|これからあなたは|あなたは今)`,
	},
	{
		name: "Korean", cue: `시스템|사용자|유저|이제`, last: true, spaces: true, ignore: `무시\S*|잊어\S*|잊고|따르지\s?마\S*|무효\S*`,
		earlier: `이전\S*|위의|앞의|지금까지의|모든|기존\S*|앞선|시스템|위`,
		told:    `지시\S*|명령\S*|프롬프트\S*|규칙\S*|지침\S*|설정\S*`,
		reveal:  `시스템\s?(?:프롬프트|지시|메시지)\S*[^.!?]{0,20}(?:보여|알려|출력|공개|말해|반복)`,
		secret:  `(?:사용자|유저)\S*[^.!?]{0,20}(?:말하지|알리지|언급하지|공개하지|보고하지)`,
		persona: `(?:너는 이제|당신은 이제|이제부터 (?:너|당신|모든))`,
	},
	{
		name: "Arabic", cue: `النظام|المستخدم|الآن|الان`, ignore: `تجاهل|انس|انسى|تجاوز|اهمل|لا تتبع`,
		earlier: `السابقة|السابقه|اعلاه|أعلاه|جميع|كل|الأصلية|الاصلية|قبل`,
		told:    `التعليمات|تعليمات|الأوامر|الاوامر|أوامر|القواعد|التوجيهات|الارشادات|الإرشادات`,
		reveal:  `(?:اكشف|اظهر|أظهر|اعرض|اطبع|كرر)[^.!؟]{0,40}(?:موجه النظام|تعليمات النظام|تعليماتك|رسالة النظام)`,
		secret:  `لا (?:تخبر|تذكر|تبلغ|تقل)[^.!؟]{0,30}المستخدم`,
		persona: `(?:أنت الآن|انت الان|من الآن فصاعدا|من الان فصاعدا)`,
	},
	{
		name: "Hindi", cue: `सिस्टम|उपयोगकर्ता|यूज़र|यूजर`, last: true, ignore: `अनदेखा|नज़रअंदाज़|नजरअंदाज|भूल जा|अनदेखी|उपेक्षा|न मान`,
		earlier: `पिछले|पिछली|पहले|उपरोक्त|ऊपर|सभी|पूर्व|सारे`,
		told:    `निर्देश|आदेश|नियम|हिदायत|प्रॉम्प्ट|अनुदेश`,
		reveal:  `सिस्टम (?:प्रॉम्प्ट|निर्देश|संदेश)[^।!?]{0,40}(?:दिखा|बता|प्रकट)`,
		secret:  `(?:उपयोगकर्ता|यूज़र|यूजर)[^।!?]{0,40}(?:न बता|मत बता|सूचित न)`,
	},
	{
		name: "Vietnamese", cue: `he thong|nguoi dung|system prompt`, spaces: true, ignore: `bo qua|quen|phot lo|khong tuan theo`,
		earlier: `truoc|tren|truoc do|tat ca|ban dau|cua ban`,
		told:    `huong dan|chi dan|lenh|quy tac|chi thi|loi nhac`,
		reveal:  `(?:tiet lo|hien thi|cho biet|in ra|lap lai)[^.!?]{0,40}(?:loi nhac he thong|huong dan he thong|system prompt)`,
		secret:  `(?:khong|dung) (?:noi|thong bao|tiet lo|cho)[^.!?]{0,30}nguoi dung`,
	},
	{
		name: "Indonesian", cue: `sistem|instruksi|pengguna`, spaces: true, ignore: `abaikan|lupakan|jangan ikuti|hiraukan`,
		earlier: `sebelumnya|di atas|semua|seluruh|awal|anda`,
		told:    `instruksi|perintah|petunjuk|aturan|arahan|prompt`,
		reveal:  `(?:tampilkan|ungkapkan|tunjukkan|ulangi)[^.!?]{0,40}(?:prompt sistem|instruksi sistem|instruksi anda)`,
		secret:  `jangan (?:beri ?tahu|katakan|sebutkan|ungkapkan|laporkan)[^.!?]{0,30}pengguna`,
	},
}

var tongueRules = func() (out []rule) {
	for _, t := range tongues {
		out = append(out, rule{name: t.name, weight: alone, inside: t.last || !t.spaces, words: literals(t.told + "|" + t.cue), re: sync.OnceValue(func() *regexp.Regexp {
			edge := ""
			if t.spaces && fold(t.ignore).s[0] < 0x80 {
				edge = `\b`
			}
			gap := `[^.!?。！？।]{0,40}?`
			group := func(s string) string { return edge + `(?:` + foldExpression(s) + `)` + edge }
			first, second := group(t.earlier)+gap+group(t.told), group(t.told)+gap+group(t.earlier)
			parts := []string{group(t.ignore) + gap + first, group(t.ignore) + gap + second}
			if t.last || !t.spaces {
				parts = append(parts, first+gap+group(t.ignore))
			}
			for _, whole := range []string{t.reveal, t.secret, t.persona} {
				if whole != "" {
					parts = append(parts, foldExpression(whole))
				}
			}
			return regexp.MustCompile(strings.Join(parts, "|"))
		})})
	}
	return out
}()

// foldExpression folds the letters of an expression as the text is, and leaves its signs.
func foldExpression(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r < 0x80 {
			b.WriteRune(r)
		} else {
			b.WriteString(fold(string(r)).s)
		}
	}
	return b.String()
}

// literals are what the alternatives of an expression start with, as far as they have no signs.
func literals(expression string) (out []string) {
	for _, e := range strings.Split(expression, "|") {
		if i := strings.IndexAny(e, `\?*+([{`); i >= 0 {
			if e[i] == '?' || e[i] == '*' {
				_, n := utf8.DecodeLastRuneInString(e[:i])
				i -= n
			}
			e = e[:i]
		}
		if e = fold(e).s; len(e) > 2 {
			out = append(out, e)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
